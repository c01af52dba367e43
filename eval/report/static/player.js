"use strict";
// The player of trials: one scrubber through exploration and execution, and what belongs to the moment it points at.
// All text from the data goes in as textContent, never as HTML.

const byId = (name) => document.getElementById(name);
const SVG = "http://www.w3.org/2000/svg";

// -- light and dark ---------------------------------------------------------------------------------------------

byId("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

// -- what a trial is made of ---------------------------------------------------------------------------------------

const methods = JSON.parse(byId("methods").textContent);
const PHASES = ["explore", "execute"];

/** Parse a trial, decode its pictures, and number its moments: {episode, slot}, one for each observation. */
async function load(method, number) {
  const trial = JSON.parse(byId(`trial-${method}-${number}`).textContent);
  const decoding = [];
  trial.moments = [];
  trial.episodes.forEach((episode, at) => {
    episode.images = episode.pictures.map(({ image }) => decoded(image, decoding));
    episode.frames = episode.seen ? episode.seen.frames.map((frame) => decoded(frame, decoding)) : null;
    episode.begin = trial.moments.length;
    episode.pictures.forEach((_, slot) => trial.moments.push({ episode: at, slot }));
  });
  await Promise.all(decoding);
  return trial;
}

function decoded(url, decoding) {
  if (!url) return null;
  const image = new Image();
  image.src = url;
  decoding.push(image.decode());
  return image;
}

// -- pictures ---------------------------------------------------------------------------------------------------

/** One phase's canvases; pictures hold only the tiles that changed, so it remembers what it shows. */
class Stage {
  constructor(phase, tile) {
    this.figure = byId(phase);
    this.picture = this.figure.querySelector(".picture");
    this.view = this.figure.querySelector(".view");
    this.seen = this.figure.querySelector(".seen");
    this.which = this.figure.querySelector(".which");
    this.tile = tile;
    this.shown = null;
  }

  show(episode, slot, waiting) {
    this.figure.classList.toggle("waiting", waiting);
    const from = this.shown && this.shown.episode === episode && this.shown.slot <= slot ? this.shown.slot + 1 : 0;
    if (from === 0) [this.picture.width, this.picture.height] = episode.size;
    const canvas = this.picture.getContext("2d");
    const columns = episode.size[0] / this.tile;
    for (let at = from; at <= slot; at++) {
      episode.pictures[at].at.forEach((place, row) => {
        canvas.drawImage(
          episode.images[at], 0, row * this.tile, this.tile, this.tile,
          (place % columns) * this.tile, Math.floor(place / columns) * this.tile, this.tile, this.tile);
      });
    }
    this.shown = { episode, slot };
    this.view.hidden = !episode.frames;
    if (episode.frames) {
      [this.seen.width, this.seen.height] = episode.seen.size;
      this.seen.getContext("2d").drawImage(episode.frames[slot], 0, 0);
    }
  }
}

// -- panels -----------------------------------------------------------------------------------------------------

function element(name, attributes = {}, text = null) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  return made;
}

function html(name, className, text = null) {
  const made = document.createElement(name);
  made.className = className;
  if (text !== null) made.textContent = text;
  return made;
}

/** Empty the panel of that name; null, and hidden, if there is nothing to show. */
function panel(name, anything) {
  const figure = byId(name);
  figure.hidden = !anything;
  const box = figure.querySelector("div");
  box.replaceChildren();
  return anything ? box : null;
}

const short = (value) => (value === null ? "–" : value.toFixed(Math.abs(value) < 10 ? 2 : 1).replace(/^-(0\.?0*)$/, "$1"));

function drawInformation(trial, now, go) {
  const box = panel("information", trial.information);
  if (!box) return;
  const { found, all } = trial.information;
  const [width, height, left, right, top, bottom] = [340, 150, 34, 8, 12, 24];
  const high = Math.max(all, ...found), low = Math.min(0, ...found);
  const x = (step) => left + (width - left - right) * step / Math.max(1, found.length - 1);
  const y = (nats) => top + (height - top - bottom) * (high - nats) / Math.max(1e-9, high - low);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${short(found[now])} of ${short(all)} nats` });
  svg.append(element("line", { x1: left, x2: width - right, y1: y(0), y2: y(0), stroke: "var(--rule)" }));
  svg.append(element("line", { x1: left, x2: width - right, y1: y(all), y2: y(all), stroke: "var(--faint)", "stroke-dasharray": "5 4" }));
  for (const nats of [0, all]) svg.append(element("text", { x: left - 5, y: y(nats) + 4, "text-anchor": "end", class: "faint" }, short(nats)));
  const gains = found.slice(1).map((nats, step) => nats - found[step]);
  const wide = Math.min(14, (width - left - right) / Math.max(1, found.length) * 0.6);
  gains.forEach((gain, step) => svg.append(element("rect", {
    x: x(step + 1) - wide / 2, width: wide, y: Math.min(y(0), y(gain)), height: Math.abs(y(gain) - y(0)),
    fill: step < now ? "rgba(var(--blue), .35)" : "var(--rule)" })));
  const steps = (upto) => found.slice(0, upto + 1).map((nats, step) => `${step ? `H${x(step)}V` : `M${x(0)} `}${y(nats)}`).join("");
  svg.append(element("path", { d: steps(found.length - 1), fill: "none", stroke: "var(--rule)", "stroke-width": 2 }));
  svg.append(element("path", { d: steps(now), fill: "none", stroke: "rgb(var(--blue))", "stroke-width": 2.5 }));
  svg.append(element("circle", { cx: x(now), cy: y(found[now]), r: 4.5, fill: "rgb(var(--blue))" }));
  svg.append(element("text", { x: left, y: height - 6, class: "faint" }, "step 0"));
  svg.append(element("text", { x: width - right, y: height - 6, "text-anchor": "end", class: "faint" }, `step ${found.length - 1}`));
  byId("information").querySelector("small").textContent = `${short(found[now])} of ${short(all)} nats`;
  svg.addEventListener("click", (event) => {
    const place = svg.getBoundingClientRect();
    const at = (event.clientX - place.left) / place.width * width;
    go(Math.round((at - left) / (width - left - right) * (found.length - 1)));
  });
  box.append(svg);
}

function drawBeliefs(trial, now) {
  const box = panel("beliefs", trial.beliefs.length);
  if (!box) return;
  for (const part of trial.beliefs) {
    const row = html("div", "belief");
    row.append(html("span", "", part.name));
    const cells = html("div", "cells");
    part.share[now].forEach((share, value) => {
      const cell = html("span", "", part.values[value]);
      cell.style.setProperty("--share", share);
      cell.title = `${part.name} = ${part.values[value]}: ${(100 * share).toFixed(1)}%`;
      cell.classList.toggle("truth", value === part.truth);
      cell.classList.toggle("strong", share > 0.6);
      cells.append(cell);
    });
    row.append(cells);
    box.append(row);
  }
}

function drawValues(method, episode, slot) {
  const box = panel("values", episode.values);
  if (!box) return;
  if (slot >= episode.action.length) {
    box.append(html("p", "note", "The episode is over."));
    return;
  }
  const values = episode.values[slot];
  const low = Math.min(...values), high = Math.max(...values);
  values.forEach((value, action) => {
    const taken = action === episode.action[slot];
    const row = html("div", `value${taken ? " taken" : ""} ${episode.phase}`);
    row.append(html("span", "", method.actions[action]));
    const bar = document.createElement("span");
    const length = document.createElement("i");
    length.style.width = `${4 + 96 * (value - low) / Math.max(1e-9, high - low)}%`;
    bar.append(length);
    row.append(bar, html("span", "", value.toFixed(high - low > 0.1 ? 2 : 3)));
    box.append(row);
  });
}

function drawSpace(method, trial, now) {
  const box = panel("space", method.space && trial.z);
  if (!box) return;
  const { g, f } = trial.z;
  const side = 320;
  const every = [...method.space.codes, ...g, ...(f ? [f] : [])];
  const far = Math.max(1e-9, ...every.map(([x, y]) => Math.max(Math.abs(x), Math.abs(y))));
  const at = ([x, y]) => [side / 2 + (side / 2 - 14) * x / far, side / 2 - (side / 2 - 14) * y / far];
  const svg = element("svg", { viewBox: `0 0 ${side} ${side}`, role: "img", "aria-label": "codes of all problems, and the way of g" });
  svg.append(element("rect", { width: side, height: side, class: "ground", rx: 8 }));
  method.space.codes.forEach((code, number) => {
    const [cx, cy] = at(code);
    const dot = element("circle", { cx, cy, r: 3.2, fill: "var(--faint)", "fill-opacity": 0.6 });
    dot.append(element("title", {}, `problem ${method.space.problems[number]}`));
    svg.append(dot);
  });
  if (f) {
    const [cx, cy] = at(f);
    svg.append(element("circle", { cx, cy, r: 9, fill: "none", stroke: "var(--execute)", "stroke-width": 2.5 }));
  }
  const way = g.map(at);
  const line = (points) => points.map((point) => point.join(" ")).join("L");
  svg.append(element("path", { d: `M${line(way)}`, fill: "none", stroke: "rgba(var(--blue), .25)", "stroke-width": 1.5 }));
  svg.append(element("path", { d: `M${line(way.slice(0, now + 1))}`, fill: "none", stroke: "rgb(var(--blue))", "stroke-width": 2 }));
  svg.append(element("circle", { cx: way[now][0], cy: way[now][1], r: 5.5, fill: "rgb(var(--blue))" }));
  box.append(svg, html("p", "note", `The two axes hold ${Math.round(100 * method.space.share)}% of the variance of ${method.space.codes.length} codes.`));
}

// -- the player -------------------------------------------------------------------------------------------------

class Player {
  constructor() {
    this.stages = Object.fromEntries(PHASES.map((phase) => [phase, new Stage(phase, methods[0].tile)]));
    this.scrubber = byId("scrubber");
    this.method = 0;
    this.number = 0;
    this.timer = null;
    const choice = byId("method");
    methods.forEach((method, at) => choice.append(new Option(method.name, at)));
    choice.closest("label").hidden = methods.length < 2;
    choice.addEventListener("change", () => this.open(Number(choice.value), this.number));
    this.scrubber.addEventListener("input", () => { this.pause(); this.show(Number(this.scrubber.value)); });
    byId("play").addEventListener("click", () => (this.timer ? this.pause() : this.play()));
    document.addEventListener("keydown", (event) => this.key(event));
  }

  async open(method, number) {
    this.pause();
    const last = methods[method].trials.length - 1;
    [this.method, this.number] = [method, Math.max(0, Math.min(number, last))];
    byId("method").value = method;
    this.list();
    const opened = [this.method, this.number];
    const trial = await load(...opened);
    if (opened[0] !== this.method || opened[1] !== this.number) return;  // another was chosen in the meantime
    this.trial = trial;
    for (const stage of Object.values(this.stages)) stage.shown = null;
    byId("words").textContent = trial.words;
    this.scrubber.max = trial.moments.length - 1;
    const bars = trial.episodes.map((episode) => {
      const bar = html("span", episode.phase);
      bar.style.flexGrow = episode.pictures.length;
      return bar;
    });
    byId("phases").replaceChildren(...bars);
    this.show(0);
  }

  list() {
    const buttons = methods[this.method].trials.map((trial, number) => {
      const button = html("button", "", `${trial.tags.join(", ")}: problem ${trial.problem}, return ${trial.return.map(short).join(", ")}`);
      button.type = "button";
      button.setAttribute("aria-pressed", number === this.number);
      button.addEventListener("click", () => this.open(this.method, number));
      return button;
    });
    byId("trial-list").replaceChildren(...buttons);
  }

  show(moment) {
    const { trial } = this;
    if (!trial) return;
    this.moment = Math.max(0, Math.min(moment, trial.moments.length - 1));
    this.scrubber.value = this.moment;
    const { episode: number, slot } = trial.moments[this.moment];
    const episode = trial.episodes[number];
    const other = this.beside(number);
    this.stages[episode.phase].show(episode, slot, false);
    if (other) this.stages[other.phase].show(other, other.phase === "explore" ? other.pictures.length - 1 : 0, true);
    for (const phase of PHASES) {
      const shown = phase === episode.phase ? episode : other;
      this.stages[phase].figure.hidden = !shown;
      this.stages[phase].which.textContent = shown ? this.which(shown) : "";
    }
    const found = this.found(number, slot);
    drawInformation(trial, found, (step) => { this.pause(); this.show(step); });
    drawBeliefs(trial, found);
    drawValues(methods[this.method], episode, slot);
    drawSpace(methods[this.method], trial, found);
    const told = this.told(episode, slot);
    byId("moment").textContent = told;
    this.scrubber.setAttribute("aria-valuetext", told);
  }

  /** The episode of the other phase that is shown beside one: the last exploration, the first execution. */
  beside(number) {
    const { episodes } = this.trial;
    const other = episodes[number].phase === "explore" ? "execute" : "explore";
    const found = episodes.filter((episode) => episode.phase === other);
    return other === "explore" ? found.at(-1) : found[0];
  }

  /** Observations of the exploration made so far, less one: where information, belief and z stand. */
  found(number, slot) {
    const episode = this.trial.episodes[number];
    if (episode.phase === "explore") return episode.first + slot;
    const last = this.trial.episodes.filter(({ phase }) => phase === "explore").at(-1);
    return last ? last.first + last.pictures.length - 1 : 0;
  }

  which(episode) {
    const same = this.trial.episodes.filter(({ phase }) => phase === episode.phase);
    const number = same.length > 1 ? ` ${same.indexOf(episode) + 1} of ${same.length}` : "";
    return `${number}${episode.instruction ? ` ${episode.instruction}` : ""}, ${episode.action.length} step${episode.action.length === 1 ? "" : "s"}`.replace(/^, /, "");
  }

  told(episode, slot) {
    const phase = episode.phase === "explore" ? "Exploration" : "Execution";
    if (slot === 0) return `${phase}, start`;
    const action = methods[this.method].actions[episode.action[slot - 1]] ?? "next episode";
    const sum = episode.reward.slice(0, slot).reduce((total, reward) => total + reward, 0);
    return `${phase}, step ${slot}: ${action}${episode.phase === "execute" ? `, return ${short(sum)}` : ""}`;
  }

  play() {
    if (this.moment >= this.trial.moments.length - 1) this.show(0);
    byId("play").textContent = "Pause";
    this.timer = setInterval(() => {
      this.show(this.moment + 1);
      if (this.moment >= this.trial.moments.length - 1) this.pause();
    }, 450);
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    byId("play").textContent = "Play";
  }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const { target } = event;
    if (target.matches("select, summary, a") || (target.matches("button") && [" ", "Enter"].includes(event.key))) return;
    const keys = {
      ArrowLeft: () => { this.pause(); this.show(this.moment - 1); },
      ArrowRight: () => { this.pause(); this.show(this.moment + 1); },
      n: () => this.open(this.method, this.number + 1),
      p: () => this.open(this.method, this.number - 1),
      m: () => this.open((this.method + 1) % methods.length, this.number),
      k: () => (this.timer ? this.pause() : this.play()),
    };
    if (target.closest("#player")) keys[" "] = keys.k;  // elsewhere the space bar turns the page
    const act = keys[event.key];
    if (!act || !this.trial) return;
    event.preventDefault();
    act();
  }
}

if (methods.length) new Player().open(0, 0);
