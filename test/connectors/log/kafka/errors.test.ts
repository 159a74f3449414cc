import assert from "node:assert/strict";
import { test } from "node:test";
import { kafkaFailure } from "../../../../connectors/log/kafka/errors.js";
import { SluiceError, type ErrorCode } from "../../../../schemas/errors.js";

/** As kafkajs makes them */
function protocol(type: string, retriable: boolean): Error {
  return Object.assign(new Error("the broker's words"), { name: "KafkaJSProtocolError", type, retriable });
}

function client(name: string, details: object = {}, cause?: Error): Error {
  return Object.assign(new Error("the client's words", { cause }), { name, retriable: true, ...details });
}

const connection = client("KafkaJSConnectionError", { code: "ECONNREFUSED" });

const CASES: readonly [string, unknown, ErrorCode, boolean, RegExp][] = [
  ["a broker that is away", connection, "E_LOG_IO", true, /the client's words/],
  [
    "the same behind the client's retries",
    client("KafkaJSNumberOfRetriesExceeded", { retriable: false }, connection),
    "E_LOG_IO",
    true,
    /./,
  ],
  [
    "the same behind its bail-out",
    client("KafkaJSNonRetriableError", { retriable: false }, connection),
    "E_LOG_IO",
    true,
    /./,
  ],
  ["a request without an answer", client("KafkaJSRequestTimeoutError"), "E_LOG_IO", true, /./],
  ["a moving leader", protocol("NOT_LEADER_FOR_PARTITION", true), "E_LOG_IO", true, /NOT_LEADER/],
  ["a missing topic", protocol("UNKNOWN_TOPIC_OR_PARTITION", true), "E_LOG_IO", false, /sluice topics create/],
  ["a large record", protocol("MESSAGE_TOO_LARGE", false), "E_LOG_IO", false, /max\.message\.bytes/],
  ["a refused time", protocol("INVALID_TIMESTAMP", false), "E_LOG_IO", false, /timestamp\.after\.max\.ms/],
  [
    "a wrong password",
    client("KafkaJSSASLAuthenticationError", { retriable: false }),
    "E_LOG_ACCESS",
    false,
    /password/,
  ],
  ["a forbidden topic", protocol("TOPIC_AUTHORIZATION_FAILED", false), "E_LOG_ACCESS", false, /access rules/],
  [
    "several errors at once",
    Object.assign(new Error("many"), { name: "KafkaJSAggregateError", errors: [protocol("POLICY_VIOLATION", false)] }),
    "E_LOG_IO",
    false,
    /POLICY_VIOLATION/,
  ],
  ["a connection gone under the client", new Error("Broker not connected"), "E_LOG_IO", true, /Broker not connected/],
  [
    "the same, where the client did not expect it",
    Object.assign(new TypeError("no pool"), {
      stack: "TypeError: no pool\n    at x (/a/node_modules/kafkajs/src/cluster.js:1:1)",
    }),
    "E_LOG_IO",
    true,
    /no pool/,
  ],
  ["a bug", new TypeError("no function"), "E_LOG_IO", false, /no function/],
];

for (const [what, error, code, retryable, message] of CASES) {
  test(`${what}: ${code}`, () => {
    const failure = kafkaFailure(error, "read images/0", "kafka://broker:9092");
    assert.equal(failure.code, code);
    assert.equal(failure.retryable, retryable);
    assert.match(failure.message, message);
    assert.match(failure.message, /Expected to read images\/0 in kafka:\/\/broker:9092/);
    assert.equal(failure.cause, error);
  });
}

test("an error of Sluice stays what it is, also behind the client's", () => {
  const ours = new SluiceError("E_LOG_RECREATED", "Made anew.");
  assert.equal(kafkaFailure(ours, "read", "here"), ours);
  assert.equal(kafkaFailure(client("KafkaJSNonRetriableError", {}, ours), "read", "here"), ours);
});
