import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { configSchema } from "../../schemas/config.js";
import { commandsOf, KAFKA_ROLES, rightsOf } from "../../schemas/kafka-rights.js";
import { kafkaFailure } from "../../connectors/log/kafka/errors.js";
import { ROOT } from "../architecture/repository.js";

const { kafka, stream } = configSchema.parse({ kafka: { brokers: "localhost:9092" } });

test("docs/processes.md lists what each role must be allowed", async () => {
  const page = await readFile(join(ROOT, "docs/processes.md"), "utf8");
  for (const role of KAFKA_ROLES) {
    const allowed = new Map<string, string[]>();
    for (const { operation, resource, name, pattern } of rightsOf(role, { stream, kafka: kafka! })) {
      const place = `${resource === "group" ? "group " : ""}\`${name}${pattern === "prefixed" ? "*" : ""}\``;
      allowed.set(place, [...(allowed.get(place) ?? []), operation]);
    }
    const cells = [...allowed].map(([place, operations]) => `${place} ${operations.join(", ")}`).join("; ");
    const row = page.split("\n").find((line) => line.startsWith(`| \`${role}\` | ${commandsOf(role)} `));
    assert.equal(row?.replaceAll(/ +/g, " "), `| \`${role}\` | ${commandsOf(role)} | ${cells} |`);
  }
});

test("what Kafka refuses names the right that is missing", () => {
  const refused = Object.assign(new Error("Not authorized to access topics"), { type: "TOPIC_AUTHORIZATION_FAILED" });
  const failure = kafkaFailure(refused, "append to images/0", "kafka://b:9092", {
    operation: "Write",
    resource: "topic",
    name: "images",
  });
  assert.equal(failure.code, "E_LOG_ACCESS");
  assert.match(failure.message, /lacks the right Write on topic images .*`sluice topics acls`/);
});
