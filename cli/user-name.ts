import { userInfo } from "node:os";
import { orNullNow } from "../schemas/errors.js";

/** Who runs a command. A container may run under a number that has no name. */
export function userName(): string {
  return orNullNow(() => userInfo().username, "ERR_SYSTEM_ERROR") ?? "unknown";
}
