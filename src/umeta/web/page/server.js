// Knows how to ask the server, and how to begin again with the same examples when it has forgotten them.

import * as store from "./store.js";

const AT_ONCE = 64;

export class Refused extends Error {
  constructor(status, words) { super(words); this.status = status; }
}

export class Unreachable extends Error {
  constructor() { super("The server does not answer. Your examples are kept in this browser; it is tried again."); }
}

const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem("token", given);
  history.replaceState(null, "", location.pathname);
}

export async function call(method, path, body) {
  const token = sessionStorage.getItem("token");
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  if (body && !(body instanceof FormData)) {
    headers["content-type"] = "application/json";
    body = JSON.stringify(body);
  }
  for (;;) {
    let answer;
    try {
      answer = await fetch(path, { method, headers, body });
    } catch {
      throw new Unreachable();
    }
    if (answer.ok) return answer;
    if (answer.status === 429) {
      await new Promise((done) => setTimeout(done, 1000));
      continue;
    }
    const words = await answer.json().then((content) => content.detail, () => answer.statusText);
    throw new Refused(answer.status, words);
  }
}

export function form(images, names = []) {
  const data = new FormData();
  for (const name of names) data.append("names", name);
  images.forEach((image, index) => data.append("images", image, `image-${index}`));
  return data;
}

export class Session {
  constructor(changed, say) {
    this.changed = changed;
    this.say = say;
    this.state = { id: null, revision: 0, classes: [], examples: [], can_undo: false };
    this.pictures = new Map();
    this.restoring = null;
  }

  async open() {
    const kept = await store.load();
    if (kept) {
      this.state = kept.state;
      this.pictures = new Map(kept.state.examples.map((example, index) => [example.id, kept.pictures[index]]));
    }
    if (!this.state.id) await this.take(await (await call("POST", "/api/sessions")).json());
    else await this.refresh(true);
  }

  // Asks the session; where the server has forgotten it, it is taught again first.
  async ask(method, path, body) {
    await this.restoring;
    try {
      return await call(method, `/api/sessions/${this.state.id}${path}`, body);
    } catch (error) {
      if (error.status !== 404 || await this.known()) throw error;
    }
    await this.restore();
    return call(method, `/api/sessions/${this.state.id}${path}`, body);
  }

  async change(method, path, body) {
    const answer = await this.ask(method, path, body);
    await this.take(await answer.json());
  }

  async refresh(always = false) {
    const before = this.state.revision;
    const state = await (await this.ask("GET", "")).json();
    if (always || state.revision !== before) await this.take(state);
    if (!always && state.revision !== before) this.say("The lesson was changed in another tab; this one shows it now.");
  }

  async known() {
    try {
      await call("GET", `/api/sessions/${this.state.id}`);
      return true;
    } catch (error) {
      if (error.status === 404) return false;
      throw error;
    }
  }

  restore() {
    this.restoring ??= this.teachAgain().finally(() => { this.restoring = null; });
    return this.restoring;
  }

  async teachAgain() {
    const { classes, examples } = this.state;
    const taught = examples.map((example) => [example.class, this.pictures.get(example.id)]).filter(([, picture]) => picture);
    let state = await (await call("POST", "/api/sessions")).json();
    const path = `/api/sessions/${state.id}`;
    for (const name of classes) state = await (await call("POST", `${path}/classes`, { name })).json();
    for (let first = 0; first < taught.length; first += AT_ONCE) {
      const part = taught.slice(first, first + AT_ONCE);
      state = await (await call("POST", `${path}/examples`, form(part.map((one) => one[1]), part.map((one) => one[0])))).json();
    }
    this.pictures = new Map(state.examples.map((example, index) => [example.id, taught[index][1]]));
    await this.take(state);
    this.say(`The server was restarted. Your ${taught.length} examples were kept here and have been taught again.`);
  }

  async take(state) {
    const missing = state.examples.filter((example) => !this.pictures.has(example.id));
    await Promise.all(missing.map(async ({ id }) => {
      this.pictures.set(id, await (await call("GET", `/api/sessions/${state.id}/examples/${id}`)).blob());
    }));
    this.state = state;
    await store.save(state, state.examples.map((example) => this.pictures.get(example.id)));
    this.changed();
  }

  get ready() { return new Set(this.state.examples.map((example) => example.class)).size >= 2; }
}
