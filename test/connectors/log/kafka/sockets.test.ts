import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import { clientsBroker, hostOf } from "../../../../connectors/log/kafka/sockets.js";
import { openKafkaLog } from "../../../../connectors/log/kafka/kafka-log.js";

test("an IPv6 address goes through the client and back", () => {
  for (const address of ["::1", "fe80::1", "2001:db8::192.0.2.1", "::"]) {
    const [host, port, ...more] = clientsBroker(`[${address}]:9092`).split(":");
    assert.deepEqual([hostOf(host!), port, more], [address, "9092", []]);
    assert.equal(hostOf(`[${address}]`), address);
  }
  assert.equal(clientsBroker("kafka-1.example.com:9092"), "kafka-1.example.com:9092");
  assert.equal(hostOf("kafka-1"), "kafka-1");
});

async function listening(host: string): Promise<{ server: Server; port: number; asked: Promise<unknown> }> {
  const server = createServer((socket) => socket.destroy());
  const asked = once(server, "connection");
  server.listen(0, host);
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port, asked };
}

test("a broker at an IPv6 address is connected to", async (t) => {
  const hasLoopback = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"));
  if (!hasLoopback) {
    t.skip("this machine has no ::1");
    return;
  }
  const { server, port, asked } = await listening("::1");
  try {
    const opening = openKafkaLog({
      brokers: [`[::1]:${port}`],
      openPatienceMs: 300,
      cursorTopic: "cursors",
      replicationFactor: 1,
    });
    const outcome = opening.then(
      (log) => log.close(),
      () => undefined,
    );
    await asked;
    await outcome;
  } finally {
    server.close();
  }
});
