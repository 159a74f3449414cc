import { tlsFault } from "../../tls-failure.js";
import { messageOf, SluiceError, type ErrorContext } from "../../../schemas/errors.js";
import { rightText, type KafkaRight } from "../../../schemas/kafka-rights.js";

/** What the client's errors carry beyond a message */
interface ClientError extends Error {
  readonly type?: string;
  readonly retriable?: boolean;
  readonly code?: unknown;
  readonly topic?: string;
  readonly partition?: number;
  readonly errors?: readonly unknown[];
}

/** The client's wrappers hide what happened behind "number of retries exceeded": the error that they were made for. */
export function originOf(error: unknown): ClientError {
  if (!(error instanceof Error)) return new Error(String(error));
  const { errors } = error as ClientError;
  if (error.name === "KafkaJSAggregateError" && errors !== undefined && errors.length > 0) return originOf(errors[0]);
  const wrapped = ["KafkaJSNumberOfRetriesExceeded", "KafkaJSNonRetriableError", "KafkaJSError"].includes(error.name);
  return wrapped && error.cause instanceof Error && error.cause !== error ? originOf(error.cause) : error;
}

/** Kafka's name of a protocol error, also behind an error of ours; "" for any other error. */
export function typeOf(error: unknown): string {
  const { type } = originOf(error instanceof SluiceError ? error.cause : error);
  return typeof type === "string" ? type : "";
}

/** The group has gone on without this member: what it holds is no longer its own. */
export function isExpelled(error: unknown): boolean {
  return ["ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID", "REBALANCE_IN_PROGRESS", "FENCED_INSTANCE_ID"].includes(
    typeOf(error),
  );
}

/** Of a failure as the log reports it */
export function isUnknownTopic(failure: SluiceError): boolean {
  return failure.context["type"] === "UNKNOWN_TOPIC_OR_PARTITION";
}

const ACCESS = /_AUTHORIZATION_FAILED$|^SASL_AUTHENTICATION_FAILED$|^UNSUPPORTED_SASL_MECHANISM$|^ILLEGAL_SASL_STATE$/;

/** The right that a call needs. */
export type KafkaNeed = Pick<KafkaRight, "operation" | "resource" | "name">;

/** Any error of the client as the log reports it. An error of ours stays what it is. */
export function kafkaFailure(error: unknown, doing: string, place: string, needs?: KafkaNeed): SluiceError {
  const origin = originOf(error);
  if (origin instanceof SluiceError) return origin;
  const type = typeOf(origin);
  const fail = (code: "E_LOG_IO" | "E_LOG_ACCESS", found: string, context: ErrorContext = {}): SluiceError =>
    new SluiceError(code, `Expected to ${doing} in ${place}, found ${found}`, { cause: error, type, ...context });
  if (needs !== undefined && type.endsWith("_AUTHORIZATION_FAILED")) {
    const right = rightText({ ...needs, pattern: "literal" });
    return fail(
      "E_LOG_ACCESS",
      `that this client lacks the right ${right} (${type}). \`sluice topics acls\` prints what each role needs.`,
    );
  }
  if (origin.name === "KafkaJSSASLAuthenticationError" || ACCESS.test(type)) {
    return fail(
      "E_LOG_ACCESS",
      `${type || "that the login failed"}: ${messageOf(origin)}. Check user, password, mechanism and the access rules.`,
    );
  }
  const fault = tlsFault(typeof origin.code === "string" ? origin.code : "", {
    ca: "kafka.tls.ca",
    serverName: "kafka.tls.serverName",
    own: "kafka.tls.cert and kafka.tls.key",
  });
  if (fault !== null) return fail("E_LOG_ACCESS", fault);
  switch (type) {
    case "UNKNOWN_TOPIC_OR_PARTITION":
      return fail("E_LOG_IO", "no such topic or partition. Create it: `sluice topics create`.");
    case "MESSAGE_TOO_LARGE":
    case "RECORD_LIST_TOO_LARGE":
      return fail(
        "E_LOG_IO",
        "that a record is larger than the topic takes. Raise its max.message.bytes, or send the image by reference.",
      );
    case "INVALID_TIMESTAMP":
      return fail(
        "E_LOG_IO",
        "that the topic refuses a record's time. Set its message.timestamp.after.max.ms and message.timestamp.before.max.ms higher.",
      );
    case "INVALID_TOPIC_EXCEPTION":
      return fail("E_LOG_IO", "that Kafka takes no such topic name: [a-zA-Z0-9._-], at most 249 of them.");
    case "POLICY_VIOLATION":
    case "INVALID_REPLICATION_FACTOR":
    case "INVALID_CONFIG":
      return fail("E_LOG_IO", `${type}: ${messageOf(origin)}. Change the topic's settings.`);
    default:
      return fail("E_LOG_IO", `${type === "" ? "" : `${type}: `}${messageOf(origin)}.`, {
        retryable: isRetryable(origin),
      });
  }
}

/** Of the network, and what the client itself says of Kafka's answers. A bug of ours (TypeError …) is neither. */
function isRetryable(origin: ClientError): boolean {
  if (isClientAstray(origin)) return true;
  if (["TypeError", "RangeError", "ReferenceError", "SyntaxError"].includes(origin.name)) return false;
  if (typeOf(origin) !== "") return origin.retriable === true;
  // "Group coordinator not found" is what a broker that has just been started says.
  if (["KafkaJSLockTimeout", "KafkaJSGroupCoordinatorNotFound"].includes(origin.name)) return true;
  if (origin.name.startsWith("KafkaJS")) return origin.retriable !== false;
  return /^E[A-Z]+$/.test(typeof origin.code === "string" ? origin.code : "");
}

/** What kafkajs throws where a connection goes while another call is at work on it */
function isClientAstray({ name, message, stack = "" }: ClientError): boolean {
  if (message === "Broker not connected") return true;
  const thrower = stack.split("\n").find((line) => line.trim().startsWith("at ")) ?? "";
  return name === "TypeError" && /[\\/]kafkajs[\\/]src[\\/]/.test(thrower);
}
