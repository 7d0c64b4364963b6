/**
 * A card service to try the payments with, as such services are: it charges once for each key, however often it is asked, and answers
 * each time the same. `cards.js [PORT]`
 */
import { createServer, type Server, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

export interface Charged {
  readonly card: string;
  readonly cents: number;
  readonly charge: string;
  /** How often it was asked for. */
  asked: number;
}

export interface Cards {
  readonly server: Server;
  /** By key, all that were ever made. */
  readonly charges: ReadonlyMap<string, Charged>;
}

/** Each call waits for `at`: when it has come, and when the card is charged and nobody was told. */
export function cards(at: (moment: "come" | "charged", key: string) => Promise<void> = async () => undefined): Cards {
  const charges = new Map<string, Charged>();
  const server = createServer(async (request, response) => {
    const key = request.headers["idempotency-key"];
    const { card, cents } = JSON.parse(await text(request)) as { card: string; cents: number };
    if (typeof key !== "string") return answer(response, 400, { error: "under which key?" });
    await at("come", key);
    const known = charges.get(key);
    if (known !== undefined && (known.card !== card || known.cents !== cents))
      return answer(response, 422, { error: "another charge has this key" });
    if (card === "empty") return answer(response, 200, { status: "declined", charge: null });
    const charged = known ?? { card, cents, charge: `ch_${charges.size + 1}`, asked: 0 };
    charged.asked += 1;
    charges.set(key, charged);
    await at("charged", key);
    return answer(response, 200, { status: "charged", charge: charged.charge });
  });
  return { server, charges };
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { server } = cards(async (moment, key) => console.log(`${moment} ${key}`));
  server.listen(Number(process.argv[2] ?? 8700), "127.0.0.1");
}
