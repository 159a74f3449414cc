import { S3Error } from "minio";
import { messageOf, SluiceError, type ErrorCode, codeOf } from "../../../schemas/errors.js";
import { tlsFault } from "../../tls-failure.js";
import { missing } from "../filesystem/file-errors.js";
import { Stalled, TransientStatus } from "./transport.js";

/** What was being done, to say so and to tell a store that refuses writes from one that refuses everything. */
export type StoreAction = "open" | "read" | "write" | "list" | "delete";

const ACCESS: ReadonlySet<string> = new Set([
  "AccessDenied",
  "InvalidAccessKeyId",
  "XAdminUserNotFound",
  "SignatureDoesNotMatch",
  "InvalidToken",
  "InvalidTokenId",
  "ExpiredToken",
  "ExpiredTokenException",
  "AuthorizationHeaderMalformed",
  "RequestTimeTooSkewed",
]);
const FULL: ReadonlySet<string> = new Set([
  "XMinioStorageFull",
  "XMinioAdminBucketQuotaExceeded",
  "QuotaExceeded",
  "InsufficientStorage",
]);
const RETRYABLE: ReadonlySet<string> = new Set([
  "SlowDown",
  "InternalError",
  "ServiceUnavailable",
  "RequestTimeout",
  "OperationAborted",
  "ConditionalRequestConflict",
  "XMinioServerNotInitialized",
  // The bytes changed on the way; the server has kept nothing.
  "BadDigest",
  "XAmzContentSHA256Mismatch",
  "IncompleteBody",
]);
/** Of the network. EPROTO is none: TLS spoken to a server without it, or the other way round, fails for ever. */
const NETWORK_ERRNO = /^(?!EPROTO)E[A-Z]+$|^ERR_STREAM_PREMATURE_CLOSE$/;

/** S3's code of an error, or "" where it is no answer of the server. */
export function s3Code(error: unknown): string {
  if (error instanceof S3Error) return error.code ?? "";
  return error instanceof TransientStatus ? error.code : "";
}

/** Another writer's object is there (`If-None-Match: *`). */
export function isPreconditionFailed(error: unknown): boolean {
  return s3Code(error) === "PreconditionFailed";
}

export function isNotFound(error: unknown): boolean {
  return ["NoSuchKey", "NotFound"].includes(s3Code(error));
}

/** Any error of the client as the store reports it. An error of ours stays what it is. */
export function s3Failure(error: unknown, action: StoreAction, key: string, place: string): SluiceError {
  if (error instanceof SluiceError) return error;
  // The client wraps what is wrong with keys that it asks for.
  if (error instanceof Error && error.cause instanceof SluiceError) return error.cause;
  const code = s3Code(error);
  if (isNotFound(error)) return missing(key, place, error);
  if (code === "NoSuchBucket") {
    return failure(error, "E_STORE_BUCKET", `Expected the bucket of ${place}, found none. Create it, or name another.`);
  }
  if (code === "AccessDenied" && action !== "open" && key !== "") {
    const what = action === "list" ? "list what starts with" : action;
    const message = `Expected permission to ${what} ${key} in ${place}, found none (AccessDenied). Give the access key that permission: \`sluice check --policy ROLE\` prints what a role needs.`;
    const isChange = action === "write" || action === "delete";
    return failure(error, isChange ? "E_STORE_READONLY" : "E_STORE_ACCESS", message, { key });
  }
  if (ACCESS.has(code)) {
    return failure(
      error,
      "E_STORE_ACCESS",
      `Expected ${place} to accept the credentials, found ${code}. ${advice(code, regionOf(error))}`,
    );
  }
  if (FULL.has(code)) {
    const message = `Expected room for ${key} in ${place}, found none (${code}). Nothing was written: free space and run again.`;
    return failure(error, "E_STORE_FULL", message, { key });
  }
  if (code === "PermanentRedirect" || code === "MovedPermanently") {
    const region = regionOf(error);
    const where = region === "" ? "its own region" : region;
    const message = `Expected the bucket of ${place} on this server, found that it is in another region (${code}). Set s3.region and s3.endpoint to those of ${where}.`;
    return failure(error, "E_STORE_IO", message, { key });
  }
  const fault = tlsFault(codeOf(error) ?? "", { ca: "s3.ca", serverName: null, own: null });
  if (fault !== null) return failure(error, "E_STORE_ACCESS", `Expected to reach ${place}, found ${fault}`);
  const verb = { open: "reach", read: "read", write: "write", list: "list what starts with", delete: "delete" }[action];
  const message = `Expected to ${verb} ${key === "" ? "" : `${key} in `}${place}, found: ${code === "" ? "" : `${code}: `}${reasonOf(error)}.`;
  return failure(error, "E_STORE_IO", message, { key, retryable: isRetryable(error, code) });
}

function isRetryable(error: unknown, code: string): boolean {
  if (error instanceof TransientStatus || error instanceof Stalled) return true;
  // Without a code: an error body that was cut off, or a failed completion reported under status 200.
  if (error instanceof S3Error) return code === "" || RETRYABLE.has(code);
  return NETWORK_ERRNO.test(codeOf(error) ?? "");
}

function reasonOf(error: unknown): string {
  // Several addresses of one host name, all refused.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(", ");
  return messageOf(error) || "an answer without a reason";
}

/** Where the server says that the bucket is; "" where it does not. */
function regionOf(error: unknown): string {
  const { region, amzBucketRegion } = error as { readonly region?: unknown; readonly amzBucketRegion?: unknown };
  return ([region, amzBucketRegion].find((one) => typeof one === "string" && one !== "") as string | undefined) ?? "";
}

function advice(code: string, region: string): string {
  switch (code) {
    case "RequestTimeTooSkewed":
      return "This machine's clock and the store's differ by more than 15 minutes: set the clock.";
    case "AuthorizationHeaderMalformed":
      return region === ""
        ? "The bucket is probably in another region: set s3.region."
        : `The bucket is in another region: set s3.region to ${region}.`;
    case "SignatureDoesNotMatch":
      return "The secret key is not the access key's.";
    default:
      return "Check access key, secret key and their policy.";
  }
}

function failure(
  cause: unknown,
  code: ErrorCode,
  message: string,
  context: { key?: string; retryable?: boolean } = {},
): SluiceError {
  return new SluiceError(code, message, { cause, ...context });
}
