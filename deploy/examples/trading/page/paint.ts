/**
 * What is seen of the desk. What always holds: whatever a server or another client said is text; a button keeps its place and its focus while
 * what stands around it changes.
 */
import type { Desk } from "./desk.ts";
import { isOpen, type OwnOrder } from "./orders.ts";

export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as E;
}

export function setText(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

const bodyOf = (id: string): HTMLElement => byId(id).querySelector("tbody") ?? byId(id);
const numberText = (value: number): string => value.toLocaleString("en").replaceAll(",", "\u202f");
const timeText = (at: Date): string => at.toLocaleTimeString("en-GB");

function cell(text: string, className = ""): HTMLTableCellElement {
  const made = document.createElement("td");
  made.textContent = text;
  if (className !== "") made.className = className;
  return made;
}

function row(cells: readonly HTMLTableCellElement[], className = ""): HTMLTableRowElement {
  const made = document.createElement("tr");
  if (className !== "") made.className = className;
  made.append(...cells);
  return made;
}

function wide(text: string, columns: number, className: string): HTMLTableCellElement {
  const made = cell(text, className);
  made.colSpan = columns;
  return made;
}

export function paint(desk: Desk, cancel: (own: OwnOrder) => void): void {
  paintBook(desk);
  paintTrades(desk);
  paintOrders(desk.orders.all, cancel);
  byId<HTMLButtonElement>("send").disabled = !desk.isReady;
}

function paintBook({ book, bookAt }: Desk): void {
  const level = (side: "buy" | "sell") => (each: readonly [number, number, number]) => {
    const [price, quantity, orders] = each;
    const name = side === "buy" ? "bid" : "ask";
    return row([cell(name, side), cell(numberText(price), side), cell(numberText(quantity)), cell(String(orders))]);
  };
  const rows =
    book === null
      ? [row([wide("asking …", 4, "empty")])]
      : [
          ...book.asks.map(level("sell")).reverse(),
          row([wide(spreadText(book), 4, "")], "spread"),
          ...book.bids.map(level("buy")),
        ];
  bodyOf("book").replaceChildren(...rows);
  setText(
    byId("book-age"),
    book === null || bookAt === null ? "" : `at ${timeText(bookAt)}, sequence ${book.sequence}`,
  );
}

function spreadText({ asks, bids }: { asks: readonly (readonly number[])[]; bids: readonly (readonly number[])[] }) {
  const [ask, bid] = [asks[0]?.[0], bids[0]?.[0]];
  if (ask === undefined && bid === undefined) return "no orders";
  if (ask === undefined || bid === undefined) return ask === undefined ? "nobody sells" : "nobody buys";
  return `spread ${numberText(ask - bid)}`;
}

function paintTrades({ trades }: Desk): void {
  const rows = trades.map(({ at, price, quantity }) =>
    row([cell(timeText(at)), cell(numberText(price)), cell(numberText(quantity))]),
  );
  bodyOf("trades").replaceChildren(...(rows.length > 0 ? rows : [row([wide("none yet", 3, "empty")])]));
}

const orderRows = new Map<string, HTMLTableRowElement>();

function paintOrders(orders: readonly OwnOrder[], cancel: (own: OwnOrder) => void): void {
  const body = bodyOf("orders");
  const wanted = orders.map((own) => {
    const key = `${own.symbol} ${own.order}`;
    const made = orderRows.get(key) ?? orderRow(own, cancel);
    orderRows.set(key, made);
    fillOrder(made, own);
    return made;
  });
  for (const [key, made] of orderRows) if (!wanted.includes(made)) orderRows.delete(key);
  const rows = wanted.length > 0 ? wanted : [row([wide("none yet", 6, "empty")])];
  if (rows.length !== body.children.length || rows.some((made, at) => body.children[at] !== made))
    body.replaceChildren(...rows);
}

function orderRow(own: OwnOrder, cancel: (own: OwnOrder) => void): HTMLTableRowElement {
  const { order } = own;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Cancel";
  button.setAttribute("aria-label", `Cancel ${order}`);
  button.addEventListener("click", () => cancel(own));
  const last = cell("");
  last.append(button);
  return row([cell(order), cell(""), cell(""), cell(""), cell(""), last]);
}

function fillOrder(made: HTMLTableRowElement, own: OwnOrder): void {
  const { side, price, open, quantity, state, why } = own;
  const texts = [
    `${own.order}`,
    side,
    price === null ? "market" : numberText(price),
    `${numberText(open)} / ${numberText(quantity)}`,
    why === undefined ? state : `${state}: ${why}`,
  ];
  texts.forEach((text, at) => {
    const found = made.children[at];
    if (found !== undefined) setText(found, text);
  });
  made.children[1]?.setAttribute("class", side);
  made.dataset.state = state;
  const button = made.querySelector("button");
  if (button === null) return;
  button.hidden = !isOpen(own) || state === "sending";
}
