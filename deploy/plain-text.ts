/**
 * What is shown on a terminal comes from many: names, reasons and errors of servers, clients and brokers. What always holds:
 * nothing of it moves the cursor, colours, renames a window or turns the direction of what is read; it is shown as text, in
 * the way in which JSON writes such characters, so that JSON stays what it was.
 */
/** The screen is empty, and the cursor at its top: the one thing that we say to a terminal. */
export const clearScreen = "\u001b[2J\u001b[H";

/** Control characters but tab and line feed, and those that turn the direction or break a line unseen. */
const unshown = /(?![\t\n])\p{Cc}|\p{Bidi_Control}|[\p{Zl}\p{Zp}]/gu;

/** `text`, which may begin with `clearScreen`. */
export function plainText(text: string): string {
  const said = text.startsWith(clearScreen) ? clearScreen : "";
  return said + text.slice(said.length).replace(unshown, inJson);
}

function inJson(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
