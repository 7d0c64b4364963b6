/**
 * The one picture: the three modes as places, each server a token in its place, what goes between them, and where each would
 * go if the other died now. It is drawn anew only when something in it changes, so that what moves in it goes on moving.
 */
import { drawn } from "./elements.js";

/** Wide: side by side. Narrow: one below the other. */
const wide = {
  width: 1180,
  height: 392,
  places: {
    "primary-only": { x: 8, y: 12, width: 288, height: 236 },
    normal: { x: 404, y: 12, width: 372, height: 236 },
    "backup-only": { x: 884, y: 12, width: 288, height: 236 },
    away: { x: 404, y: 290, width: 372, height: 94 },
  },
  tokenY: 112,
};
const narrow = {
  width: 360,
  height: 750,
  places: {
    "primary-only": { x: 6, y: 6, width: 348, height: 138 },
    normal: { x: 6, y: 204, width: 348, height: 184 },
    "backup-only": { x: 6, y: 448, width: 348, height: 172 },
    away: { x: 6, y: 656, width: 348, height: 88 },
  },
  tokenY: 84,
};
const radius = 36;
const blockedWords = "nobody would take over";
const words = {
  "primary-only": "backup gone",
  normal: "both in sync",
  "backup-only": "primary gone",
  away: "",
};

/** What the picture shows, without what changes all the time. */
export function pictureKey({ mode, servers, lines, moves, staleSinceMs }, isNarrow) {
  const tokens = servers.map(({ name, place, heat, state }) => [name, place, heat, state]);
  return JSON.stringify([isNarrow, mode, tokens, lines, moves, staleSinceMs !== null]);
}

export function drawPicture(view, isNarrow) {
  const plan = isNarrow ? narrow : wide;
  const seats = seatsOf(view, plan);
  // On a wall nothing jumps when a server goes: there its room is kept.
  const hasAway = !isNarrow || view.servers.some(({ place }) => place === "away");
  const height = hasAway ? plan.height : plan.places["backup-only"].y + plan.places["backup-only"].height + 10;
  const places = Object.keys(plan.places).filter((place) => place !== "away" || hasAway);
  const told = sayPicture(view);
  const svg = drawn("svg", {
    viewBox: `0 0 ${plan.width} ${height}`,
    role: "img",
    "aria-label": told,
    class: isNarrow ? "narrow" : "wide",
  });
  svg.append(
    arrowHead(),
    ...places.map((place) => placeOf(place, plan.places[place], view.mode)),
    ...view.moves.map((move) => moveOf(move, plan, seats, isNarrow)),
    ...view.lines.flatMap((line) => lineOf(line, seats)),
    ...view.servers.map((server) => tokenOf(server, seats.get(server.name))),
  );
  return svg;
}

/** The same in a sentence for each thing. */
export function sayPicture({ mode, servers, lines, moves }) {
  const heats = {
    hot: "hot, it processes requests",
    warm: "warm, it follows",
    none: "neither hot nor warm",
    silent: "silent",
  };
  return [
    `Mode ${mode ?? "unknown"}.`,
    ...servers.map(
      ({ name, place, heat, state }) =>
        `${name} is ${heats[heat]}${state === "" ? "" : ` (${state})`}, ${place === "away" ? "outside" : `in ${place}`}.`,
    ),
    ...lines.map(
      ({ from, to, main, failsafe, carrier }) =>
        `From ${from} to ${to}: main link ${main}, failsafe link ${failsafe}, records go ${carrier === "none" ? "by none" : `by ${carrier}`}.`,
    ),
    ...moves.map(({ server, to, when, works }) =>
      works ? `${server} would go to ${to} ${when}.` : `${server} would not go to ${to} ${when}.`,
    ),
  ].join(" ");
}

/** Where each token stands: the primary to the left of whoever follows it. */
function seatsOf({ servers, mode }, plan) {
  // Names stand away from the lines.
  const side = mode === "backup-only" && plan === wide ? -1 : 1;
  const seats = new Map();
  for (const [place, box] of Object.entries(plan.places)) {
    const here = servers.filter((server) => server.place === place);
    here.sort((one, other) => Number(other.heat === "hot") - Number(one.heat === "hot"));
    here.forEach(({ name }, at) => {
      const x = box.x + (box.width * (at * 2 + 1)) / (here.length * 2);
      seats.set(name, place === "away" ? { x, y: box.y + 52, side } : { x, y: box.y + plan.tokenY });
    });
  }
  return seats;
}

function arrowHead() {
  const head = (id) =>
    drawn(
      "marker",
      { id, viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 9, markerHeight: 9, orient: "auto-start-reverse" },
      drawn("path", { d: "M1 1 9 5 1 9", class: "head" }),
    );
  return drawn("defs", {}, head("arrow-head"));
}

function placeOf(place, { x, y, width, height }, mode) {
  const isNow = place === mode;
  const name = drawn("text", { x: x + 18, y: y + 30, class: "place-name" }, place === "away" ? "outside" : place);
  if (isNow) name.append(drawn("tspan", { class: "place-now", dx: 8 }, "now"));
  return drawn(
    "g",
    { class: `place ${place}${isNow ? " now" : ""}` },
    drawn("rect", { x, y, width, height, rx: 16, class: "frame" }),
    name,
    drawn("text", { x: x + width - 18, y: y + 30, class: "place-meaning" }, words[place]),
  );
}

function tokenOf({ name, heat, state, role }, seat) {
  if (seat === undefined) return "";
  const { x, y, side = 0 } = seat;
  const isSmall = side !== 0;
  const beside = { x: x + side * 36, "text-anchor": side < 0 ? "end" : "start" };
  const r = isSmall ? 24 : radius;
  const label = { hot: "HOT", warm: "warm", none: "…", silent: "silent" }[heat];
  const below = heat === "silent" ? "" : heat === "none" || state !== "" ? state : role;
  return drawn(
    "g",
    { class: `token ${heat}` },
    heat === "hot" ? drawn("circle", { cx: x, cy: y, r: r + 6, class: "halo" }) : "",
    drawn("circle", { cx: x, cy: y, r, class: "disc" }),
    drawn("text", { x, y: y + 5, class: isSmall ? "heat small" : "heat" }, label),
    isSmall
      ? drawn("text", { ...beside, y: y - 3, class: "name beside" }, name)
      : drawn("text", { x, y: y + r + 26, class: "name" }, name),
    isSmall
      ? drawn("text", { ...beside, y: y + 15, class: "state beside" }, below)
      : drawn("text", { x, y: y + r + 45, class: "state" }, below),
  );
}

/** Two lines, one for each link, and the records on the one that carries them. */
function lineOf({ from, to, main, failsafe, carrier, isFlowing }, seats) {
  const [one, other] = [seats.get(from), seats.get(to)];
  if (one === undefined || other === undefined) return [];
  const length = Math.hypot(other.x - one.x, other.y - one.y) || 1;
  const along = { x: (other.x - one.x) / length, y: (other.y - one.y) / length };
  const away = (seat) => (seat.side === undefined ? radius : 24) + 9;
  const ends = (shift, more = 0) => {
    const side = { x: -along.y * shift, y: along.x * shift };
    const start = away(one) + more;
    const end = length - away(other) - more;
    const at = (way) => `${one.x + along.x * way + side.x} ${one.y + along.y * way + side.y}`;
    return `M${at(start)} L${at(end)}`;
  };
  const isLevel = Math.abs(along.y) < 0.2 && length > 130;
  const middle = { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 };
  const labelled = (text, dy, state) =>
    isLevel
      ? drawn(
          "text",
          { x: middle.x, y: middle.y + dy, class: `link-name ${state}` },
          state === "up" ? text : `${text} down`,
        )
      : "";
  const path = (shift, name, state) => drawn("path", { d: ends(shift), class: `link ${name} ${state}` });
  return [
    path(-8, "main", main),
    path(8, "failsafe", failsafe),
    carrier === "none"
      ? ""
      : drawn("path", { d: ends(carrier === "main" ? -8 : 8, 7), class: `records${isFlowing ? " flowing" : ""}` }),
    labelled("main", -17, main),
    labelled("failsafe", 25, failsafe),
  ];
}

/** From its place to the other one, with a ghost of it there. */
function moveOf({ server, to, when, works }, plan, seats, isNarrow) {
  const seat = seats.get(server);
  const box = plan.places[to];
  if (seat === undefined) return "";
  const ghost = { x: box.x + box.width / 2, y: box.y + plan.tokenY };
  const isReturn = to === "normal";
  const way = isReturn ? upwards(plan) : isNarrow ? downwards(to, plan) : sidewards(to, plan);
  const above = works || !isNarrow ? splitWords(when) : [when, blockedWords];
  const below = works || isNarrow ? [] : splitWords(blockedWords);
  const text = (word, dy) =>
    drawn("text", { x: way.label.x, y: way.label.y + dy, class: "move-word", "text-anchor": way.label.anchor }, word);
  return drawn(
    "g",
    { class: `move ${works ? "works" : "blocked"}` },
    isReturn ? "" : drawn("circle", { cx: ghost.x, cy: ghost.y, r: radius, class: "ghost" }),
    isReturn ? "" : drawn("text", { x: ghost.x, y: ghost.y + 5, class: "ghost-name" }, server),
    drawn("path", { d: way.path, class: "way", "marker-end": "url(#arrow-head)" }),
    works ? "" : drawn("path", { d: cross(way.middle), class: "cross" }),
    ...above.map((word, at) => text(word, at * 18)),
    ...below.map((word, at) => text(word, 62 + at * 18)),
  );
}

function sidewards(to, { places, tokenY }) {
  const isLeft = to === "primary-only";
  const from = isLeft ? places.normal.x - 8 : places.normal.x + places.normal.width + 8;
  const end = isLeft ? places[to].x + places[to].width + 8 : places[to].x - 8;
  const y = places.normal.y + tokenY;
  const x = (from + end) / 2;
  return { path: `M${from} ${y} L${end} ${y}`, label: { x, y: y - 34, anchor: "middle" }, middle: { x, y } };
}

function downwards(to, { places }) {
  const isUp = to === "primary-only";
  const from = isUp ? places.normal.y - 6 : places.normal.y + places.normal.height + 6;
  const end = isUp ? places[to].y + places[to].height + 6 : places[to].y - 6;
  const y = (from + end) / 2;
  const x = 180;
  return { path: `M${x} ${from} L${x} ${end}`, label: { x: x + 16, y: y - 3, anchor: "start" }, middle: { x, y } };
}

/** From outside to normal: beside the places where they stand one below the other. */
function upwards({ places }) {
  const isNarrow = places.normal.width < 360;
  if (!isNarrow) {
    const x = places.normal.x + 24;
    const [from, end] = [places.away.y - 2, places.normal.y + places.normal.height + 4];
    return {
      path: `M${x} ${from} L${x} ${end}`,
      label: { x: places.normal.x - 12, y: places.away.y + 22, anchor: "end" },
      middle: { x, y: from },
    };
  }
  const x = 344;
  const [from, end] = [places.away.y - 2, places["backup-only"].y + places["backup-only"].height + 8];
  return {
    path: `M${x} ${from} L${x} ${end}`,
    label: { x: x - 14, y: end + 11, anchor: "end" },
    middle: { x, y: from },
  };
}

function cross({ x, y }) {
  return `M${x - 8} ${y - 8} L${x + 8} ${y + 8} M${x + 8} ${y - 8} L${x - 8} ${y + 8}`;
}

/** In two lines of about the same length. */
function splitWords(text) {
  const all = text.split(" ");
  const half = Math.ceil(all.length / 2);
  return [all.slice(0, half).join(" "), all.slice(half).join(" ")];
}
