import assert from "node:assert/strict";
import test from "node:test";
import { backoff, parser } from "../../api/page/js/sse.js";

test("events are the same however the network cuts them", () => {
  const text = 'event: stage\nid: 1-00-7\ndata: {"a":1}\n\n: keepalive\n\nevent: end\ndata: {}\ndata: x\n\n';
  const whole = parser()(text);
  assert.deepEqual(whole, [
    { event: "stage", id: "1-00-7", data: '{"a":1}' }, { event: "end", id: "", data: "{}\nx" },
  ]);
  for (let size = 1; size < text.length; size += 1) {
    const cut = parser();
    const found = [];
    for (let place = 0; place < text.length; place += size) found.push(...cut(text.slice(place, place + size)));
    assert.deepEqual(found, whole, `in pieces of ${size}`);
  }
});

test("an event without its end is not told", () => {
  assert.deepEqual(parser()("event: stage\ndata: {}\n"), []);
});

test("who reconnects waits longer each time, never for ever, and not all at once", () => {
  assert.ok(backoff(0, 1) <= 1000);
  assert.ok(backoff(3, 0) > backoff(0, 1));
  assert.equal(backoff(50, 1), 30000);
  assert.notEqual(backoff(2, 0), backoff(2, 1));
});
