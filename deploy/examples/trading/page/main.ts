/**
 * The trading page: logs in, and puts the desk and what is seen of it together. What always holds: the key stays in this tab; a client's name is at one
 * desk at a time, for two of one name would have one list of orders.
 */
import { type Connection, connect } from "twinlog/browser";
import { Desk } from "./desk.ts";
import type { RequestBody, Result } from "./exchange.ts";
import { Orders, type OwnOrder } from "./orders.ts";
import { byId, paint, setText } from "./paint.ts";

interface LogIn {
  readonly nats: string;
  readonly client: string;
  readonly key: string;
}

const service = "exchange";
const loginPlace = "trading login";
const natsOfPage = new URL(document.URL).searchParams.get("nats") ?? "ws://127.0.0.1:4228";
let desk: Desk | null = null;
/** At most one painting for each frame. */
let isDue = false;

const input = (id: string): HTMLInputElement => byId<HTMLInputElement>(id);

function show(part: "login" | "desk"): void {
  byId("login").hidden = part !== "login";
  byId("desk").hidden = part !== "desk";
  byId("leave").hidden = part !== "desk";
}

function repaint(): void {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    if (desk !== null) paint(desk, cancel);
    linkText();
  });
}

let isConnected = false;

function linkText(): void {
  const answer = desk?.answer ?? null;
  const said = answer === null ? "" : `, epoch ${answer.epoch}, last answer in ${Math.round(answer.tookMs)} ms`;
  setText(byId("link"), desk === null ? "" : isConnected ? `connected${said}` : "connecting again …");
}

function cancel({ symbol, order }: OwnOrder): void {
  desk?.send({ type: "cancel", symbol, order });
}

async function enter(login: LogIn): Promise<void> {
  const { nats, client, key } = login;
  setText(byId("login-fault"), "");
  if (!(await isOnlyDesk(client))) throw new Error(`${client} trades in another tab of this browser`);
  const access = key === "" ? { servers: [nats] } : { servers: [nats], nkey: key };
  const onConnected = (connected: boolean) => {
    isConnected = connected;
    repaint();
  };
  const connection = (await connect({ nats: access, service, client, onConnected })) as Connection<RequestBody, Result>;
  sessionStorage.setItem(loginPlace, JSON.stringify(login));
  const orders = new Orders(localStorage, service, client);
  const onSaid = (text: string) => setText(byId("said"), text);
  desk = new Desk(connection, orders, input("symbol").value, { onChange: repaint, onSaid });
  setText(byId("who"), client);
  show("desk");
  repaint();
}

/** False: another tab has this client's name. The lock ends with the page. */
function isOnlyDesk(client: string): Promise<boolean> {
  return new Promise((resolve) => {
    void navigator.locks.request(`${service} ${client}`, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock === null ? undefined : new Promise(() => undefined);
    });
  });
}

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  const login = {
    nats: input("nats").value.trim(),
    client: input("client").value.trim(),
    key: input("key").value.trim(),
  };
  enter(login).catch((error: unknown) =>
    setText(byId("login-fault"), error instanceof Error ? error.message : String(error)),
  );
});

byId("leave").addEventListener("click", () => {
  sessionStorage.removeItem(loginPlace);
  void desk?.close().then(() => location.reload());
});

byId("kind").addEventListener("change", () => {
  const isMarket = byId<HTMLSelectElement>("kind").value === "market";
  input("price").disabled = isMarket;
  byId("price-label").hidden = isMarket;
});

input("symbol").addEventListener("change", () => {
  if (input("symbol").validity.valid) desk?.watch(input("symbol").value);
});

byId("order").addEventListener("submit", (event) => {
  event.preventDefault();
  desk?.send(orderOf());
});

function orderOf(): RequestBody {
  const kind = byId<HTMLSelectElement>("kind").value;
  const side = document.querySelector<HTMLInputElement>('[name="side"]:checked')?.value === "sell" ? "sell" : "buy";
  const symbol = input("symbol").value;
  const quantity = input("quantity").valueAsNumber;
  // Nobody else's: ids are one symbol's, whoever sent the order.
  const order = crypto.randomUUID().slice(0, 8);
  if (kind === "market") return { type: "market", symbol, order, side, quantity };
  const limit = { type: "limit", symbol, order, side, price: input("price").valueAsNumber, quantity } as const;
  if (kind === "post") return { ...limit, postOnly: true };
  return { ...limit, timeInForce: kind === "IOC" || kind === "FOK" ? kind : "GTC" };
}

const kept = sessionStorage.getItem(loginPlace);
if (kept !== null)
  enter(JSON.parse(kept) as LogIn).catch((error: unknown) => {
    show("login");
    setText(byId("login-fault"), error instanceof Error ? error.message : String(error));
  });
else show("login");
input("nats").value = natsOfPage;
