// Knows what the browser keeps of a lesson, so that a restart of the server loses nothing. Each tab has a record of its own.

const KEPT_MS = 7 * 24 * 3600 * 1000;

function key() {
  let name = sessionStorage.getItem("lesson");
  if (!name) {
    name = crypto.getRandomValues(new Uint32Array(4)).join("-");
    sessionStorage.setItem("lesson", name);
  }
  return name;
}

function ask(mode, act) {
  return new Promise((done) => {
    let opening;
    try {
      opening = indexedDB.open("umeta", 1);
    } catch {
      done(null);
      return;
    }
    opening.onupgradeneeded = () => opening.result.createObjectStore("lessons");
    opening.onerror = () => done(null);
    opening.onsuccess = () => {
      const trade = opening.result.transaction("lessons", mode);
      const asked = act(trade.objectStore("lessons"));
      trade.oncomplete = () => { opening.result.close(); done(asked?.result ?? null); };
      trade.onerror = trade.onabort = () => { opening.result.close(); done(null); };
    };
  });
}

export async function save(state, pictures) {
  await ask("readwrite", (lessons) => lessons.put({ state, pictures, at: Date.now() }, key()));
}

export async function load() {
  await ask("readwrite", (lessons) => {
    const cursor = lessons.openCursor();
    cursor.onsuccess = () => {
      const entry = cursor.result;
      if (!entry) return;
      if (Date.now() - entry.value.at > KEPT_MS) entry.delete();
      entry.continue();
    };
  });
  return ask("readonly", (lessons) => lessons.get(key()));
}
