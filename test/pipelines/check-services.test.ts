import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { serverTimeMs } from "../../connectors/store/s3/server-clock.js";
import { clockLine } from "../../pipelines/check-services.js";

test("a clock that differs from the object store's is said with its sense, and fails where requests are refused", () => {
  const NOW = 1_800_000_000_000;
  const line = (skewMs: number): string => {
    const { state, message } = clockLine(NOW + skewMs, NOW, NOW + 200);
    return `${state} ${message}`;
  };
  assert.equal(line(0), "ok as the object store's");
  // The server tells whole seconds.
  assert.equal(line(-900), "ok as the object store's");
  assert.match(line(60_200), /^warn this machine's clock is 60 s behind the object store's/);
  assert.match(line(-61_000), /^warn this machine's clock is 60 s ahead of the object store's/);
  assert.match(line(3_600_000), /^fail .* behind .*from 15 minutes on/);
  assert.match(line(-3_600_000), /^fail .* ahead of/);
});

test("a server's time is read from its answer, whatever it answers; without an answer there is none", async () => {
  const server = createServer((_, answer) => {
    answer.writeHead(403, { date: "Wed, 01 Jan 2025 00:00:00 GMT" }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const place = { endPoint: "127.0.0.1", port, useSSL: false };
  assert.equal(await serverTimeMs(place), Date.UTC(2025, 0, 1));
  await new Promise((resolve) => server.close(resolve));
  assert.equal(await serverTimeMs(place), null);
});
