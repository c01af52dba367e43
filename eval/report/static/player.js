"use strict";
// The trial player: one scrubber runs through exploration and execution, and everything shown belongs to its position.
// All text from the data is set as textContent, never as HTML.

const byId = (name) => document.getElementById(name);
const SVG = "http://www.w3.org/2000/svg";

// -- theme ------------------------------------------------------------------------------------------------------

byId("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

// -- data -------------------------------------------------------------------------------------------------------

const methods = JSON.parse(byId("methods").textContent);
const PHASES = ["explore", "execute"];

/** Parse a trial, decode its pictures, and number its moments: {episode, slot}, one per observation. */
async function load(method, number) {
  const trial = JSON.parse(byId(`trial-${method}-${number}`).textContent);
  const decoding = [];
  const decode = (changes) => changes && changes.map(({ at, image }) => ({ at, image: decoded(image, decoding) }));
  trial.moments = [];
  trial.episodes.forEach((episode, at) => {
    episode.pictures = decode(episode.pictures);
    episode.truth = decode(episode.truth);
    if (episode.frames) episode.frames.images = episode.frames.images.map((frame) => decoded(frame, decoding));
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

/** The canvases of one phase. A picture holds only the tiles that changed, so the stage remembers what it shows. */
class Stage {
  constructor(phase, tile) {
    this.figure = byId(phase);
    [this.picture, this.photo, this.view, this.large, this.which] =
      [".picture", ".photo", ".view", ".large", ".which"].map((name) => this.figure.querySelector(name));
    this.tile = tile;
    this.shown = null;
  }

  show(episode, slot, waiting, truth, summary) {
    this.figure.classList.toggle("waiting", waiting);
    const whole = truth && Boolean(episode.truth);
    const { shown } = this;
    const on = shown && shown.episode === episode && shown.whole === whole && shown.slot <= slot;
    const changes = whole ? episode.truth : episode.pictures;
    if (!on) {
      [this.picture.width, this.picture.height] = episode.size;
      if (whole) this.draw(episode, episode.pictures[0]);  // the truth is stored as what differs from this
    }
    for (let at = on ? shown.slot + 1 : 0; at <= slot; at++) this.draw(episode, changes[at]);
    this.shown = { episode, slot, whole };
    this.picture.setAttribute("aria-label", summary);
    this.frame(episode, slot);
  }

  draw(episode, { at, image }) {
    const canvas = this.picture.getContext("2d");
    const { tile } = this;
    const columns = episode.size[0] / tile;
    at.forEach((place, row) => canvas.drawImage(
      image, 0, row * tile, tile, tile, (place % columns) * tile, Math.floor(place / columns) * tile, tile, tile));
  }

  /** The agent's own frame: over its place in the picture, whose colours change in the dark, and enlarged below. */
  frame(episode, slot) {
    const { frames, photo, size } = episode;
    this.photo.hidden = !(frames && photo);
    this.view.hidden = !frames || (photo && photo[2] > size[0] / 2);
    if (!frames) return;
    for (const canvas of [this.photo, this.large]) {
      [canvas.width, canvas.height] = frames.size;
      canvas.getContext("2d").drawImage(frames.images[slot], 0, 0);
    }
    if (!photo) return;
    const share = (length, of) => `${100 * length / of}%`;
    Object.assign(this.photo.style, {
      left: share(photo[0], size[0]), top: share(photo[1], size[1]),
      width: share(photo[2], size[0]), height: share(photo[3], size[1]) });
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

/** Empty the panel of that name and set the note beside its title; null, and hidden, if there is nothing to show. */
function panel(name, anything, note = null) {
  const figure = byId(name);
  figure.hidden = !anything;
  if (note !== null) figure.querySelector("small").textContent = note;
  const box = figure.querySelector("div");
  box.replaceChildren();
  return anything ? box : null;
}

const short = (value) => (value === null ? "–" : value.toFixed(Math.abs(value) < 10 ? 2 : 1).replace(/^-(0\.?0*)$/, "$1"));
const signed = (value) => short(value).replace(/^(?!-)/, "+");
const steps = (count) => `${count} step${count === 1 ? "" : "s"}`;

function drawInformation(trial, now, executing, go) {
  const box = panel("information", trial.information);
  if (!box) return;
  const { found, all } = trial.information;
  const gain = executing || now === 0 ? "" : ` (${signed(found[now] - found[now - 1])})`;
  const summary = `${short(found[now])} / ${short(all)} nats${gain}`;
  byId("information").querySelector("small").textContent = summary;
  const [width, height, left, right, top, bottom] = [270, 190, 36, 6, 12, 24];
  const high = Math.max(all, ...found), low = Math.min(0, ...found);
  const x = (step) => left + (width - left - right) * step / Math.max(1, found.length - 1);
  const y = (nats) => top + (height - top - bottom) * (high - nats) / Math.max(1e-9, high - low);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Information: ${summary}` });
  svg.append(element("line", { x1: left, x2: width - right, y1: y(0), y2: y(0), stroke: "var(--rule)" }));
  svg.append(element("line", { x1: left, x2: width - right, y1: y(all), y2: y(all), stroke: "var(--faint)", "stroke-dasharray": "5 4" }));
  for (const nats of [0, all]) svg.append(element("text", { x: left - 5, y: y(nats) + 4, "text-anchor": "end", class: "faint" }, short(nats)));
  const gains = found.slice(1).map((nats, step) => nats - found[step]);
  const wide = Math.min(14, (width - left - right) / Math.max(1, found.length) * 0.6);
  gains.forEach((value, step) => svg.append(element("rect", {
    x: x(step + 1) - wide / 2, width: wide, y: Math.min(y(0), y(value)), height: Math.abs(y(value) - y(0)),
    fill: step < now ? "rgba(var(--blue), .35)" : "var(--rule)" })));
  const line = (upto) => found.slice(0, upto + 1).map((nats, step) => `${step ? `H${x(step)}V` : `M${x(0)} `}${y(nats)}`).join("");
  svg.append(element("path", { d: line(found.length - 1), fill: "none", stroke: "var(--rule)", "stroke-width": 2 }));
  svg.append(element("path", { d: line(now), fill: "none", stroke: "rgb(var(--blue))", "stroke-width": 2.5 }));
  svg.append(element("circle", { cx: x(now), cy: y(found[now]), r: 4.5, fill: "rgb(var(--blue))" }));
  svg.append(element("text", { x: left, y: height - 6, class: "faint" }, "step 0"));
  svg.append(element("text", { x: width - right, y: height - 6, "text-anchor": "end", class: "faint" }, `step ${found.length - 1}`));
  svg.addEventListener("click", (event) => {
    const place = svg.getBoundingClientRect();
    const at = (event.clientX - place.left) / place.width * width;
    go(Math.round((at - left) / (width - left - right) * (found.length - 1)));
  });
  box.append(svg);
}

/** A bar for each value of each part; the true one is framed once it is known: `known` are the parts observed. */
function drawBeliefs(trial, now, known, truth) {
  const box = panel("beliefs", trial.beliefs.length);
  if (!box) return;
  let framed = false;
  trial.beliefs.forEach((part, number) => {
    const row = html("div", "belief");
    row.append(html("span", "", part.name));
    const cells = html("div", "cells");
    const shown = truth || (known !== null && known[number]);
    part.share[now].forEach((share, value) => {
      const cell = html("span", "", part.values[value]);
      const right = shown && value === part.truth;
      framed = framed || right;
      cell.style.setProperty("--share", `${100 * share}%`);
      cell.title = `${part.name} = ${part.values[value]}: ${(100 * share).toFixed(1)}%${right ? " (true)" : ""}`;
      cell.classList.toggle("truth", right);
      cell.classList.toggle("strong", share > 0.6);
      cells.append(cell);
    });
    row.append(cells);
    box.append(row);
  });
  byId("beliefs").querySelector("small").textContent = framed ? "framed: true value" : "";
}

/** What the policy thought of actions when that of this step was chosen; at the start, before the first one. */
function drawValues(method, episode, slot) {
  const at = Math.max(0, slot - 1);
  const when = slot ? `when step ${slot} was chosen` : "before the first step";
  const value = episode.value && episode.value[at] !== null ? `; value ${short(episode.value[at])}` : "";
  const box = panel("values", episode.bars, when + value);
  if (!box) return;
  const choices = method.choices[episode.phase];
  byId("values").querySelector("strong").textContent = choices.title.replace(/^./, (letter) => letter.toUpperCase());
  episode.bars[at].forEach(([begin, end, text], number) => {
    const taken = slot > 0 && episode.taken[at].includes(number);
    const row = html("div", `value${taken ? " taken" : ""} ${episode.phase}`);
    row.append(html("span", "", choices.names[number]));
    const bar = document.createElement("span");
    const length = document.createElement("i");
    length.style.marginLeft = `${100 * begin}%`;
    length.style.width = `${100 * (end - begin)}%`;
    bar.append(length);
    row.append(bar, html("span", "", text.replace("+-", "±")));
    row.classList.toggle("wide", text.length > 7);
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
  const svg = element("svg", { viewBox: `0 0 ${side} ${side}`, role: "img", "aria-label": "Codes of all problems, and the path of g" });
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

// -- choice of a trial ------------------------------------------------------------------------------------------

/** The trials of a method by instruction, exploration length and outcome. An option shows how many trials it leaves. */
class Choice {
  constructor(changed) {
    this.changed = changed;
    this.filters = ["instruction", "length", "outcome"].map((name) => ({ name, select: byId(`by-${name}`), value: "" }));
    for (const filter of this.filters) {
      filter.select.addEventListener("change", () => { filter.value = filter.select.value; this.filtered(); });
    }
    this.select = byId("trial");
    this.select.addEventListener("change", () => changed(Number(this.select.value)));
    byId("previous").addEventListener("click", () => this.move(-1));
    byId("next").addEventListener("click", () => this.move(1));
  }

  /** List the trials of a method, and point at one of them. */
  open(method, number) {
    if (this.method !== method) {
      this.method = method;
      for (const filter of this.filters) filter.value = "";
      this.length = binned(method.trials.map((trial) => trial.steps[0]));
    }
    this.number = number;
    this.list();
  }

  of(trial, filter) {
    return filter.name === "length" ? this.length(trial.steps[0]) : trial[filter.name];
  }

  matching(filters) {
    const every = this.method.trials.map((_, number) => number);
    return every.filter((number) => filters.every((filter) => !filter.value || this.of(this.method.trials[number], filter) === filter.value));
  }

  list() {
    for (const filter of this.filters) {
      const others = this.matching(this.filters.filter((other) => other !== filter)).map((number) => this.of(this.method.trials[number], filter));
      const values = [...new Set(this.method.trials.map((trial) => this.of(trial, filter)))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
      const options = values.map((value) => {
        const count = others.filter((other) => other === value).length;
        const option = new Option(`${value} (${count})`, value);
        option.disabled = count === 0;
        return option;
      });
      filter.select.replaceChildren(new Option(`any (${others.length})`, ""), ...options);
      filter.select.value = filter.value;
      filter.select.closest("label").hidden = values.length < 2;
    }
    const active = this.filters.filter((filter) => filter.value).length;
    byId("filters").hidden = this.filters.every((filter) => filter.select.closest("label").hidden);
    byId("filters").querySelector("summary").textContent = active ? `Filter trials (${active} set)` : "Filter trials";
    this.shown = this.matching(this.filters);
    this.select.replaceChildren(...this.shown.map((number) => new Option(named(this.method.trials[number]), number)));
    this.select.value = this.number;
  }

  filtered() {
    this.list();
    if (!this.shown.includes(this.number)) this.changed(this.shown[0]);
  }

  move(by) {
    const at = this.shown.indexOf(this.number) + by;
    if (at >= 0 && at < this.shown.length) this.changed(this.shown[at]);
  }
}

/** A function from lengths to at most three ranges of about as many trials each. */
function binned(lengths) {
  const sorted = [...lengths].sort((a, b) => a - b);
  const cuts = [1, 2].map((third) => sorted[Math.floor(third * sorted.length / 3)]);
  const begins = [...new Set([sorted[0], ...cuts])];
  const range = (low, high) => (low === high ? steps(low) : `${low} to ${high} steps`);
  const names = begins.map((begin, at) => range(begin, sorted.findLast((length) => at === begins.length - 1 || length < begins[at + 1])));
  return (length) => names[begins.findLastIndex((begin) => begin <= length)];
}

function named(trial) {
  const parts = [`problem ${trial.problem}`, trial.instruction, `${trial.steps.join(" + ")} steps`, `return ${trial.return.map(short).join(", ")}`];
  return `${parts.filter(Boolean).join(" · ")}, ${trial.outcome}`;
}

// -- the player -------------------------------------------------------------------------------------------------

class Player {
  constructor() {
    this.stages = Object.fromEntries(PHASES.map((phase) => [phase, new Stage(phase, methods[0].tile)]));
    this.choice = new Choice((number) => this.open(this.method, number));
    this.scrubber = byId("scrubber");
    this.method = 0;
    this.timer = null;
    const choice = byId("method");
    methods.forEach((method, at) => choice.append(new Option(method.name, at)));
    byId("method-choice").hidden = methods.length < 2;
    const roomy = matchMedia("(min-width: 60rem)");  // on a phone the filters would push the picture down
    const unfold = () => { byId("filters").open = roomy.matches; };
    roomy.addEventListener("change", unfold);
    unfold();
    choice.addEventListener("change", () => this.open(Number(choice.value), this.number));
    this.scrubber.addEventListener("input", () => { this.pause(); this.show(Number(this.scrubber.value)); });
    byId("play").addEventListener("click", () => (this.timer ? this.pause() : this.play()));
    byId("truth").addEventListener("change", () => this.show(this.moment));
    document.addEventListener("keydown", (event) => this.key(event));
  }

  async open(method, number) {
    this.pause();
    const last = methods[method].trials.length - 1;
    [this.method, this.number] = [method, Math.max(0, Math.min(number, last))];
    byId("method").value = method;
    this.choice.open(methods[method], this.number);
    const opened = [this.method, this.number];
    const trial = await load(...opened);
    if (opened[0] !== this.method || opened[1] !== this.number) return;  // another was chosen in the meantime
    this.trial = trial;
    for (const stage of Object.values(this.stages)) stage.shown = null;
    byId("words").textContent = trial.words;
    byId("truth-choice").hidden = !(trial.beliefs.some((part) => part.truth >= 0) || trial.episodes.some((episode) => episode.truth));
    this.scrubber.max = trial.moments.length - 1;
    const bars = trial.episodes.map((episode) => {
      const bar = html("span", episode.phase);
      bar.style.flexGrow = episode.pictures.length;
      return bar;
    });
    byId("phases").replaceChildren(...bars);
    this.show(0);
  }

  show(moment) {
    const { trial } = this;
    if (!trial) return;
    this.moment = Math.max(0, Math.min(moment, trial.moments.length - 1));
    this.scrubber.value = this.moment;
    const { episode: number, slot } = trial.moments[this.moment];
    const episode = trial.episodes[number];
    const other = this.beside(number);
    const truth = byId("truth").checked;
    const found = this.found(number, slot);
    const summary = this.describe(episode, slot, found);
    this.stages[episode.phase].show(episode, slot, false, truth, `Picture. ${summary}`);
    if (other && other.phase === "explore") this.stages.explore.show(other, other.pictures.length - 1, true, truth, "Picture of the end of the exploration");
    // The execution starts with what the exploration has shown by its end, so its picture waits until then.
    byId("execute").classList.toggle("later", episode.phase === "explore");
    for (const phase of PHASES) {
      const shown = phase === episode.phase ? episode : other;
      this.stages[phase].figure.hidden = !shown;
      this.stages[phase].which.textContent = shown ? this.which(shown) : "";
    }
    const executing = episode.phase === "execute";
    drawBeliefs(trial, found, episode.known ? episode.known[slot] : null, truth);
    drawInformation(trial, found, executing, (step) => { this.pause(); this.show(step); });
    drawValues(methods[this.method], episode, slot);
    drawSpace(methods[this.method], trial, found);
    byId("moment").textContent = summary;
    this.scrubber.setAttribute("aria-valuetext", summary);
  }

  /** The episode of the other phase that is shown beside one: the last exploration, the first execution. */
  beside(number) {
    const { episodes } = this.trial;
    const other = episodes[number].phase === "explore" ? "execute" : "explore";
    const found = episodes.filter((episode) => episode.phase === other);
    return other === "explore" ? found.at(-1) : found[0];
  }

  /** The last observation of the exploration that has been made: where information, belief and z stand. */
  found(number, slot) {
    const episode = this.trial.episodes[number];
    if (episode.phase === "explore") return episode.first + slot;
    const last = this.trial.episodes.filter(({ phase }) => phase === "explore").at(-1);
    return last ? last.first + last.pictures.length - 1 : 0;
  }

  which(episode) {
    const same = this.trial.episodes.filter(({ phase }) => phase === episode.phase);
    const number = same.length > 1 ? `${same.indexOf(episode) + 1} of ${same.length}` : "";
    return [number, episode.instruction, steps(episode.action.length)].filter(Boolean).join(", ");
  }

  describe(episode, slot, found) {
    const phase = episode.phase === "explore" ? "Exploration" : "Execution";
    if (slot === 0) return `${phase}, start`;
    const said = [`${phase}, step ${slot}: ${episode.action[slot - 1]}`];
    const { information } = this.trial;
    if (episode.phase === "explore" && information) said.push(`${signed(information.found[found] - information.found[found - 1])} nats`);
    if (episode.phase === "execute" || episode.reward.some(Boolean)) {
      const sum = episode.reward.slice(0, slot).reduce((total, reward) => total + reward, 0);
      said.push(`reward ${signed(episode.reward[slot - 1])}`, `return ${short(sum)}`);
    }
    return said.join(", ");
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
    if (target.matches("select, summary, a") || (target.matches("button, [type=checkbox]") && [" ", "Enter"].includes(event.key))) return;
    const keys = {
      ArrowLeft: () => { this.pause(); this.show(this.moment - 1); },
      ArrowRight: () => { this.pause(); this.show(this.moment + 1); },
      n: () => this.choice.move(1),
      p: () => this.choice.move(-1),
      m: () => this.open((this.method + 1) % methods.length, this.number),
      k: () => (this.timer ? this.pause() : this.play()),
      t: () => byId("truth").click(),
    };
    if (target.closest("#player")) keys[" "] = keys.k;  // elsewhere the space bar scrolls the page
    const act = keys[event.key];
    if (!act || !this.trial) return;
    event.preventDefault();
    act();
  }
}

if (methods.length) new Player().open(0, 0);
