// Knows how many images are sorted into the classes: in batches, with progress, a table, and what to label next.

import { form } from "./server.js";

const AT_ONCE = 64, IN_FLIGHT = 2, MOST_BYTES = 24 << 20, SHOWN = 60, LOOKED_AT = 256, SUGGESTED = 8;
const NONE = "none of these", BAD = "could not be read";

export class Sorter {
  constructor(session, use, say) {
    Object.assign(this, { session, use, say, files: [], answers: [], running: 0, urls: [] });
    this.part = (id) => document.getElementById(id);
    this.part("again").addEventListener("click", () => this.sort());
    this.part("stop").addEventListener("click", () => { this.running++; this.finish(); });
    this.part("csv").addEventListener("click", () => save(new Blob([this.table()], { type: "text/csv" }), "sorted.csv"));
    this.part("suggest").addEventListener("click", () => this.suggest().catch((error) => this.say(error.message)));
  }

  take(files) {
    this.files = files;
    this.answers = [];
    this.part("sorting").hidden = false;
    this.part("next").hidden = true;
    this.sort();
  }

  async sort() {
    this.answers = new Array(this.files.length);
    this.show();
    if (!this.session.ready) {
      this.told(`${count(this.files.length)} wait. Give examples of at least two classes, then press “Sort again”.`);
      return;
    }
    const turn = ++this.running, batches = this.batches(), began = performance.now();
    let done = 0;
    this.part("stop").disabled = false;
    const work = async () => {
      for (let batch; this.running === turn && (batch = batches.shift());) {
        await this.ask(batch);
        done += batch.length;
        this.part("progress").value = done / this.files.length;
        this.part("progress").textContent = `${done} of ${this.files.length}`;
        if (this.running === turn) this.part("sort-told").textContent = `${done.toLocaleString()} of ${count(this.files.length)}`;
      }
    };
    try {
      await Promise.all(Array.from({ length: IN_FLIGHT }, work));
    } catch (error) {
      this.running++;
      this.say(error.message);
    }
    if (this.running === turn) this.told(`${count(this.files.length)} sorted in ${((performance.now() - began) / 1000).toFixed(1)} s.`);
    this.finish();
  }

  batches() {
    const batches = [];
    let bytes = Infinity;
    this.files.forEach((file, index) => {
      if (bytes + file.size > MOST_BYTES || batches.at(-1).length >= AT_ONCE) {
        batches.push([]);
        bytes = 0;
      }
      batches.at(-1).push(index);
      bytes += file.size;
    });
    return batches;
  }

  async ask(batch) {
    try {
      const answer = await this.session.ask("POST", "/predict", form(batch.map((index) => this.files[index])));
      const { predictions } = await answer.json();
      batch.forEach((index, place) => { this.answers[index] = predictions[place]; });
    } catch (error) {
      if (error.status === 413 && batch.length > 1) {
        const half = batch.length >> 1;
        await this.ask(batch.slice(0, half));
        await this.ask(batch.slice(half));
      } else if (error.status === 413 || error.status === 415) {
        for (const index of batch) this.answers[index] = { error: error.message };
      } else {
        throw error;
      }
    }
  }

  finish() {
    this.part("stop").disabled = true;
    this.show();
  }

  told(words) { this.part("sort-told").textContent = words; }

  show() {
    for (const url of this.urls.splice(0)) URL.revokeObjectURL(url);
    const groups = new Map();
    this.answers.forEach((answer, index) => {
      const name = answer.error ? BAD : answer.none ? NONE : answer.label;
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(index);
    });
    this.part("csv").disabled = groups.size === 0;
    this.part("groups").replaceChildren(...[...groups].sort().map(([name, members]) => {
      const group = document.createElement("details"), summary = document.createElement("summary");
      summary.textContent = `${name}: ${count(members.length)}`;
      group.open = groups.size <= 12;
      group.append(summary);
      if (name !== BAD) group.append(this.thumbs(members.slice(0, SHOWN)));
      return group;
    }));
  }

  thumbs(members) {
    const row = document.createElement("div");
    row.className = "thumbs";
    row.append(...members.map((index) => {
      const button = document.createElement("button"), image = new Image();
      button.type = "button";
      image.src = URL.createObjectURL(this.files[index]);
      this.urls.push(image.src);
      image.alt = `Use ${nameOf(this.files[index])}`;
      image.title = nameOf(this.files[index]);
      button.append(image);
      button.addEventListener("click", () => this.use(this.files[index]));
      return button;
    }));
    return row;
  }

  async suggest() {
    const every = Math.max(Math.floor(this.files.length / LOOKED_AT), 1);
    let bytes = 0;
    const some = this.files.filter((file, index) => index % every === 0 && (bytes += file.size) < MOST_BYTES).slice(0, LOOKED_AT);
    const { order } = await (await this.session.ask("POST", `/suggest?n=${SUGGESTED}`, form(some))).json();
    this.part("next-thumbs").replaceWith(Object.assign(this.thumbs(order.map((place) => this.files.indexOf(some[place]))), { id: "next-thumbs" }));
    this.part("next").hidden = false;
    this.part("next-thumbs").querySelector("button")?.focus();
  }

  table() {
    const rows = this.answers.map((answer, index) => [
      nameOf(this.files[index]), answer.label ?? "", answer.probability ?? "", answer.none ?? "", answer.chance ?? "", answer.error ?? "",
    ]);
    const cell = (value) => (/[",\r\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
    return [["file", "label", "probability", "none_of_these", "chance", "error"], ...rows.filter(Boolean)]
      .map((row) => row.map(cell).join(",")).join("\r\n");
  }
}

const nameOf = (file) => file.path || file.webkitRelativePath || file.name;
const count = (n) => `${n.toLocaleString()} ${n === 1 ? "image" : "images"}`;

export function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
