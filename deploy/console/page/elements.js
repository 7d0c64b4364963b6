/**
 * Elements made and changed without HTML: whatever a server, client or broker said is text, and stays text. A text is only
 * written where it differs, so that what is read out or selected is left alone.
 */

const svgNamespace = "http://www.w3.org/2000/svg";

export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS(svgNamespace, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) setAttribute(node, name, value);
  node.append(...children);
  return node;
}

export function setAttribute(node, name, value) {
  if (value === null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export const byId = (id) => document.getElementById(id);

/** The time of day, in the reader's own zone. */
export function timeOf(wallMs, withMs = false) {
  const time = new Date(wallMs);
  const two = (value) => String(value).padStart(2, "0");
  const seconds = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  return withMs ? `${seconds}.${String(time.getMilliseconds()).padStart(3, "0")}` : seconds;
}

/** With the day where it is another one. */
export function momentOf(wallMs) {
  const [then, now] = [new Date(wallMs), new Date()];
  const isToday = then.toDateString() === now.toDateString();
  const day = then.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return `${isToday ? "" : `${day} `}${timeOf(wallMs, true)}`;
}

export const numberText = (value) => value.toLocaleString("en").replaceAll(",", "\u202f");
