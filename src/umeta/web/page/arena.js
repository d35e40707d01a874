// Knows the page of a run in an environment: a click becomes a goal, and what was learned is shown as a film.

import { call } from "./server.js";

const $ = (id) => document.getElementById(id);
let bounds = null;

async function show(image, path) {
  image.src = URL.createObjectURL(await (await call("GET", path)).blob());
}

async function open() {
  const about = await (await call("GET", "/api")).json();
  $("run").textContent = `${about.run}: ${about.recipe} in ${about.process}.`;
  bounds = about.arena;
  $("skills").hidden = !about.skills;
  $("arena").hidden = !bounds;
  if (about.skills) await show($("sheet"), "/api/skills");
  if (!bounds) return;
  [$("x").min, $("x").max, $("y").min, $("y").max] = bounds;
  await show($("view"), "/api/arena");
}

async function reach(x, y) {
  const [left, right, bottom, top] = bounds;
  $("mark").style.left = `${100 * (x - left) / (right - left)}%`;
  $("mark").style.top = `${100 * (top - y) / (top - bottom)}%`;
  $("mark").hidden = false;
  $("told").textContent = "Learning…";
  const answer = await (await call("POST", "/api/goal", { x, y })).json();
  $("view").src = answer.film;
  $("view").alt = `The point moves, and ends ${answer.distance.toFixed(2)} from the goal`;
  $("told").textContent = `After ${answer.episodes} episodes: mean return ${answer.return_before.toFixed(1)} before, ` +
    `${answer.return_after.toFixed(1)} after; this episode ends ${answer.distance.toFixed(2)} from the goal.`;
}

function failed(error) {
  $("told").textContent = "";
  $("status").textContent = error.message;
}

$("ground").addEventListener("click", (event) => {
  const place = $("ground").getBoundingClientRect();
  const [left, right, bottom, top] = bounds;
  $("x").value = (left + (event.clientX - place.left) / place.width * (right - left)).toFixed(3);
  $("y").value = (top - (event.clientY - place.top) / place.height * (top - bottom)).toFixed(3);
  $("goal").requestSubmit();
});

$("goal").addEventListener("submit", (event) => {
  event.preventDefault();
  $("status").textContent = "";
  reach($("x").valueAsNumber, $("y").valueAsNumber).catch(failed);
});

open().catch(failed);
