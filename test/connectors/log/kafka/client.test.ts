import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import kafkajs from "kafkajs";
import type { SASLOptions } from "kafkajs";
import { KafkaClient } from "../../../../connectors/log/kafka/client.js";
import { isSluiceError } from "../../../../schemas/errors.js";

/** Nothing is asked of a broker here. */
function clientOf(t: TestContext, sasl: SASLOptions): KafkaClient {
  const client = new KafkaClient({ brokers: ["127.0.0.1:1"], sasl, patienceMs: 60_000 });
  t.after(() => client.close());
  return client;
}

/** Refuses the login so many times. */
function refusing(times: number): () => Promise<string> {
  let asked = 0;
  return () => {
    // The types leave its message out.
    if (asked++ < times)
      throw Reflect.construct(kafkajs.KafkaJSSASLAuthenticationError, ["the token is over"]) as Error;
    return Promise.resolve("in");
  };
}

const isRefused = (error: unknown): boolean => isSluiceError(error, "E_LOG_ACCESS");

test("a token that brokers refuse is waited for where they have let this client in before: the next one may be on its way", async (t) => {
  const token = { mechanism: "oauthbearer", oauthBearerProvider: () => Promise.resolve({ value: "x" }) } as const;
  const client = clientOf(t, token);
  await assert.rejects(client.retrying("log in", refusing(1)), isRefused);
  assert.equal(await client.retrying("log in", refusing(0)), "in");
  assert.equal(await client.retrying("log in", refusing(2)), "in");
});

test("a password that is refused is wrong, whenever it is", async (t) => {
  const client = clientOf(t, { mechanism: "plain", username: "anna", password: "x" });
  assert.equal(await client.retrying("log in", refusing(0)), "in");
  await assert.rejects(client.retrying("log in", refusing(1)), isRefused);
});
