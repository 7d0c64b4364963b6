/** `twinlog console`: it says where it is, serves until it is stopped, and a wrong or taken port is one line. */
import test from "ava";
import { makeRig } from "./rig.ts";

test("it prints its address, serves the page there, and ends cleanly when it is stopped", async (t) => {
  const stop = new AbortController();
  let answered: Promise<Response> | undefined;
  const ran = await makeRig().run(["console", "--port", "0", "--service", "exchange"], {
    stopped: stop.signal,
    onOut: (text) => {
      const [url = ""] = /http:\S+/.exec(text) ?? [];
      answered = fetch(url, { headers: { Connection: "close" } });
      void answered.finally(() => stop.abort());
    },
  });
  t.is((await answered)?.status, 200);
  t.deepEqual([ran.status, ran.err], [0, ""]);
  t.regex(ran.out, /^the console of exchange: http:\/\/127\.0\.0\.1:\d+\/\n$/);
});

test("a port that is none, and one that is taken, is one line that says what to do", async (t) => {
  t.regex(
    (await makeRig().run(["console", "--port", "70000"])).err,
    /^twinlog: --port 70000: give a number from 0 to 65535\n$/,
  );
  const stop = new AbortController();
  const { run } = makeRig();
  let second = "";
  const first = await run(["console", "--port", "0"], {
    stopped: stop.signal,
    onOut: (text) => {
      const [, port = ""] = /:(\d+)\/\n/.exec(text) ?? [];
      void run(["console", "--port", port]).then(({ status, err }) => {
        second = `${status} ${err}`;
        stop.abort();
      });
    },
  });
  t.is(first.status, 0);
  t.regex(second, /^1 twinlog: port \d+ is taken: is a console there already\? Else choose another with --port\n$/);
});
