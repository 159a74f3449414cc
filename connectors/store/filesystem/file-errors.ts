import { messageOf, SluiceError, type ErrorCode, codeOf } from "../../../schemas/errors.js";

const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: "E_STORE_FULL",
  EDQUOT: "E_STORE_FULL",
  EFBIG: "E_STORE_FULL",
  EROFS: "E_STORE_READONLY",
  EACCES: "E_STORE_READONLY",
  EPERM: "E_STORE_READONLY",
};

/** What the same call cannot get over later */
const LASTING = new Set(["EISDIR", "ENOTDIR", "ENOTEMPTY", "EEXIST", "ENAMETOOLONG", "EXDEV", "EMLINK", "ELOOP"]);

/** Nothing of that name, or a file where the path has a folder. */
export function isAbsence(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR", "EISDIR"].includes(codeOf(error) ?? "");
}

export function missing(key: string, place: string, cause?: unknown): SluiceError {
  return new SluiceError("E_STORE_MISSING", `Expected an object at ${key} in ${place}, found none.`, { cause, key });
}

/** A file system's error as the store reports it. An error of ours stays what it is. */
export function storeError(error: unknown, doing: "read" | "write" | "list", key: string, place: string): SluiceError {
  if (error instanceof SluiceError) return error;
  if (doing === "read" && isAbsence(error)) return missing(key, place, error);
  const errno = codeOf(error) ?? "";
  const found = CODES[errno];
  if (found === "E_STORE_FULL") {
    const message = `Expected room for ${key} in ${place}, found none (${errno}). Nothing was written: free space and run again.`;
    return new SluiceError(found, message, { cause: error, key });
  }
  if (found === "E_STORE_READONLY" && doing === "write") {
    const message = `Expected to write ${key} in ${place}, found it read-only or without permission (${errno}). Change its permissions or choose another folder.`;
    return new SluiceError(found, message, { cause: error, key });
  }
  const verb = { read: "read", write: "write", list: "list what starts with" }[doing];
  return new SluiceError("E_STORE_IO", `Expected to ${verb} ${key} in ${place}, found: ${messageOf(error)}.`, {
    cause: error,
    key,
    retryable: !LASTING.has(errno),
  });
}
