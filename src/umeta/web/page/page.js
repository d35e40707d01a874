// Knows the page: what each control does, and how the lesson and the predictions are shown.

import { Pen } from "./pen.js";
import { Session, Unreachable, call, form } from "./server.js";
import { Sorter, save } from "./sort.js";

const PAUSE_MS = 120, SPOKEN_AFTER_MS = 700, SHOWN_BARS = 6, LARGEST_PHOTO = 800;
const part = (id) => document.getElementById(id);
const make = (tag, content = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), content);
  element.append(...children);
  return element;
};

let about = null;
let current = null; // a file that was dropped, pasted, chosen or photographed; null where the picture is drawn
const session = new Session(showLesson, say);
const pen = new Pen(part("canvas"), () => { if (!pen.image) current = null; predictSoon(); });
const sorter = new Sorter(session, usePicture, say);

function say(words) { part("status").textContent = words; }

// Runs what a control does; a failure becomes words, and a server that is gone is tried again.
async function attempt(act) {
  try {
    say("");
    return await act();
  } catch (error) {
    say(error.message);
    if (error instanceof Unreachable) setTimeout(reconnect, 1500);
    return undefined;
  }
}

async function reconnect() {
  try {
    await session.refresh(true);
    if (part("status").textContent.startsWith("The server does not answer")) say("The server answers again.");
    predictSoon();
  } catch (error) {
    if (error instanceof Unreachable) setTimeout(reconnect, 1500);
    else say(error.message);
  }
}

async function pictureNow() {
  if (pen.empty) return null;
  return current ?? pen.render(about.style, about.side);
}

async function usePicture(file) {
  let image;
  try {
    image = await createImageBitmap(file);
  } catch {
    say("This is not an image that can be read.");
    return;
  }
  current = file;
  pen.show(image);
  part("name").focus();
}

let asking = false, stale = false, spoken = 0;
function predictSoon() {
  stale = true;
  if (!asking) predict();
}

async function predict() {
  asking = true;
  while (stale) {
    stale = false;
    const picture = await pictureNow();
    if (!picture || !session.ready) {
      showPrediction(null);
      break;
    }
    const began = performance.now();
    try {
      const { predictions } = await (await session.ask("POST", "/predict", form([picture]))).json();
      showPrediction(predictions[0]);
    } catch (error) {
      say(error.message);
      if (error instanceof Unreachable) setTimeout(reconnect, 1500);
      showPrediction(null);
    }
    await new Promise((done) => setTimeout(done, Math.max(PAUSE_MS - (performance.now() - began), 0)));
  }
  asking = false;
}

function showPrediction(seen) {
  const verdict = part("verdict");
  clearTimeout(spoken);
  verdict.classList.toggle("none", Boolean(seen?.none));
  if (!seen) {
    verdict.textContent = session.ready ? "Nothing yet." : "Teach two classes, then it answers.";
    part("bars").replaceChildren();
    return;
  }
  const percent = (share) => `${Math.round(100 * share)} %`;
  const told = seen.none ? `None of these? Nearest: ${seen.label}` : `${seen.label} (${percent(seen.probability)})`;
  // A screen reader hears the answer once the hand rests.
  spoken = setTimeout(() => { verdict.textContent = told; }, verdict.textContent === told ? 0 : SPOKEN_AFTER_MS);
  verdict.dataset.label = seen.none ? "" : seen.label;
  const ranked = Object.entries(seen.probabilities).sort((a, b) => b[1] - a[1]).slice(0, SHOWN_BARS);
  part("bars").replaceChildren(...ranked.map(([name, share]) => {
    const bar = make("div", { className: "bar" });
    bar.style.width = `${100 * share}%`;
    return make("li", {}, make("span", { className: "label", textContent: name }), make("div", { className: "track" }, bar),
      make("span", { className: "number", textContent: percent(share) }));
  }));
}

const urls = new Map();
function address(id) {
  if (!urls.has(id)) urls.set(id, URL.createObjectURL(session.pictures.get(id)));
  return urls.get(id);
}

function showLesson() {
  const { classes, examples, can_undo } = session.state;
  for (const [id, url] of urls) {
    if (!examples.some((example) => example.id === id)) { URL.revokeObjectURL(url); urls.delete(id); }
  }
  const focused = document.activeElement?.dataset?.key;
  part("classes").replaceChildren(...classes.map((name) => classCard(name, examples.filter((example) => example.class === name))));
  if (focused) document.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  if (focused && document.activeElement === document.body) part("name").focus();
  part("names").replaceChildren(...classes.map((name) => make("option", { value: name })));
  part("undo").disabled = !can_undo;
  part("export").disabled = !session.ready;
  part("start").hidden = classes.length > 0;
  predictSoon();
}

function classCard(name, examples) {
  const path = `/classes?name=${encodeURIComponent(name)}`;
  const button = (label, key, act) => {
    const made = make("button", { type: "button", textContent: label, onclick: act });
    made.setAttribute("aria-label", `${label}: ${name}`);
    made.dataset.key = `${key} ${name}`;
    return made;
  };
  const thumbs = examples.map(({ id }, index) => {
    const told = `Remove example ${index + 1} of ${name}`;
    const remove = make("button", { type: "button", title: told, onclick: () => attempt(() => session.change("DELETE", `/examples/${id}`)) },
      make("img", { src: address(id), alt: told }));
    remove.dataset.key = `example ${id}`;
    return remove;
  });
  const card = make("li", {},
    make("h3", {}, name, make("span", { className: "soft", textContent: ` · ${examples.length}` })),
    make("div", { className: "thumbs" }, ...thumbs),
    make("div", { className: "row" },
      button("Add picture", "add", () => attempt(() => teach(name))),
      button("Add files…", "files", () => choose(part("files"), (files) => attempt(() => addFiles(name, files)))),
      button("Remove", "remove", () => attempt(() => session.change("DELETE", path)))));
  card.addEventListener("dragover", (event) => { event.preventDefault(); card.classList.add("over"); });
  card.addEventListener("dragleave", () => card.classList.remove("over"));
  card.addEventListener("drop", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    document.body.classList.remove("drop");
    const files = await dropped(event.dataTransfer);
    attempt(() => addFiles(name, files));
  });
  return card;
}

async function teach(name) {
  const picture = await pictureNow();
  if (!picture) {
    if (session.state.classes.includes(name)) throw new Error("Draw or drop a picture first.");
    await session.change("POST", "/classes", { name });
    say(`${name} has no example yet; draw or drop one.`);
    return;
  }
  await session.change("POST", "/examples", form([picture], [name]));
  pen.clear();
  say(`Learned one more example of ${name}.`);
}

async function addFiles(name, files) {
  for (let first = 0; first < files.length; first += about.limits.images) {
    await session.change("POST", "/examples", form(files.slice(first, first + about.limits.images), [name]));
  }
  say(`Learned ${files.length} more of ${name}.`);
}

function choose(input, use) {
  input.value = "";
  input.onchange = () => use([...input.files]);
  input.click();
}

function receive(files) {
  const images = files.filter((file) => file.type.startsWith("image/") || /\.(jpe?g|png|webp|bmp|gif|tiff?|p[gp]m)$/i.test(file.name));
  if (images.length === 0) say(files.length ? "There is no image among these files." : "");
  else if (images.length === 1) usePicture(images[0]);
  else sorter.take(images);
}

// Files of a drop, those inside folders too; each keeps its path in the folder.
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...transfer.files];
  const files = [];
  const walk = async (entry) => {
    if (entry.isFile) {
      const file = await new Promise((done, failed) => entry.file(done, failed));
      files.push(Object.assign(file, { path: entry.fullPath.replace(/^\//, "") }));
    } else if (entry.isDirectory) {
      const reader = entry.createReader();
      for (let some; (some = await new Promise((done, failed) => reader.readEntries(done, failed))).length;) {
        for (const inner of some) await walk(inner);
      }
    }
  };
  for (const entry of entries) await walk(entry);
  return files;
}

let stream = null;
async function openCamera() {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    const denied = error.name === "NotAllowedError";
    say(`The camera cannot be used${denied ? ": permission was denied" : ""}. Draw, drop or paste a picture instead.`);
    return;
  }
  part("video").srcObject = stream;
  part("camera-dialog").showModal();
  await part("video").play();
}

function closeCamera() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  part("camera-dialog").close();
}

function shoot() {
  const video = part("video"), scale = Math.min(1, LARGEST_PHOTO / Math.max(video.videoWidth, video.videoHeight));
  const photo = make("canvas", { width: video.videoWidth * scale, height: video.videoHeight * scale });
  photo.getContext("2d").drawImage(video, 0, 0, photo.width, photo.height);
  closeCamera();
  photo.toBlob(usePicture, "image/png");
}

part("teach").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = part("name").value.trim();
  attempt(async () => {
    if (!name) throw new Error("Name the class first.");
    await teach(name);
    part("name").value = "";
  });
});
part("clear").addEventListener("click", () => pen.clear());
part("unstroke").addEventListener("click", () => pen.back());
part("undo").addEventListener("click", () => attempt(() => session.change("POST", "/undo")));
part("export").addEventListener("click", () => attempt(async () => save(await (await session.ask("GET", "/export")).blob(), "classifier.zip")));
part("choose").addEventListener("click", () => choose(part("files"), receive));
part("choose-folder").addEventListener("click", () => choose(part("folder"), receive));
part("camera").addEventListener("click", () => attempt(openCamera));
part("camera-close").addEventListener("click", closeCamera);
part("camera-dialog").addEventListener("cancel", closeCamera);
part("shoot").addEventListener("click", shoot);
addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("drop"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("drop"); });
addEventListener("drop", async (event) => {
  event.preventDefault();
  document.body.classList.remove("drop");
  receive(await dropped(event.dataTransfer));
});
addEventListener("paste", (event) => { if (event.clipboardData.files.length) receive([...event.clipboardData.files]); });
addEventListener("visibilitychange", () => { if (!document.hidden && session.state.id) attempt(() => session.refresh()); });

async function begin() {
  about = await (await call("GET", "/api")).json();
  part("run").textContent = `Run ${about.run}, recipe ${about.recipe}.`;
  part("sets").replaceChildren(...about.sets.map((name) => make("button", {
    type: "button", textContent: name, onclick: () => attempt(() => session.change("POST", "/start", { name })),
  })));
  pen.paint();
  await session.open();
  document.body.dataset.ready = "yes";
}

attempt(async function start() {
  try {
    await begin();
  } catch (error) {
    if (error instanceof Unreachable) setTimeout(() => attempt(start), 1500);
    throw error;
  }
});
