/** What strangers say is text on a terminal, and nothing else. */
import test from "ava";
import { clearScreen, plainText } from "../../deploy/plain-text.ts";

test("control sequences of strangers are shown, not obeyed", (t) => {
  t.is(plainText("\u001b]0;owned\u0007\u001b[31mred"), "\\u001b]0;owned\\u0007\\u001b[31mred");
  t.is(plainText("a\u009b2Jb\u007f\r"), "a\\u009b2Jb\\u007f\\u000d");
  t.is(plainText("pay \u202eelppa\u2066"), "pay \\u202eelppa\\u2066");
});

test("lines, tabs and letters of any language are as they were", (t) => {
  const text = "name\tstate\nälpha 東京 👩‍🚀 −1\n";
  t.is(plainText(text), text);
});

test("our own word to the terminal counts at the beginning, and nowhere else", (t) => {
  t.is(plainText(`${clearScreen}x`), `${clearScreen}x`);
  t.is(plainText(`x${clearScreen}`), "x\\u001b[2J\\u001b[H");
});

test("JSON says the same", (t) => {
  const value = { why: "\u009bJ \u202e \u0000 \n é" };
  t.deepEqual(JSON.parse(plainText(JSON.stringify(value))), value);
});
