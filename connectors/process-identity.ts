import { execFileSync, type ExecFileSyncOptionsWithStringEncoding } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { codeOf, orNullNow } from "../schemas/errors.js";

/**
 * Who a process is, beyond its pid: pids are used again, and two containers on one folder each have a process 1.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** When the process started, as its system tells it; compared, never parsed. */
  readonly startedAt: string;
  /** The machine's name, its boot and the pid namespace: where a pid means something. "" where the system has none. */
  readonly place: string;
}

export function ownIdentity(): ProcessIdentity {
  const place = [hostname(), textOf("/proc/sys/kernel/random/boot_id"), linkOf("/proc/self/ns/pid")].join(" ");
  return { pid: process.pid, startedAt: processStart(process.pid) ?? "", place };
}

/** `unknown`: the process lives, or lived, where its pid means nothing to this one (another container, another boot). */
export function stateOf(other: ProcessIdentity, here: ProcessIdentity): "alive" | "dead" | "unknown" {
  if (other.place !== here.place) return "unknown";
  return processStart(other.pid) === other.startedAt ? "alive" : "dead";
}

/** A text that no other process of this boot with that pid has; null where there is no such process. */
export function processStart(pid: number): string | null {
  const stat = textOf(`/proc/${pid}/stat`);
  if (stat !== "") {
    // The second field, the command's name in parentheses, may hold spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie runs no more; only its parent has not asked for its exit status yet.
    return fields[0] === "Z" || fields[0] === "X" ? null : (fields[19] ?? null);
  }
  if (process.platform === "linux") return null;
  return startByPs(pid);
}

function startByPs(pid: number): string | null {
  try {
    const options = {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, LC_ALL: "C" },
    } satisfies ExecFileSyncOptionsWithStringEncoding;
    const text = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], options).trim();
    return text === "" ? null : text;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return startBySignal(pid);
    // ps found no such process: it exits with 1 then.
    if ((error as { readonly status?: unknown }).status === 1) return null;
    throw error;
  }
}

/** Without /proc and ps (Windows) only the pid itself can be asked for. */
function startBySignal(pid: number): string | null {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (codeOf(error) === "ESRCH") return null;
    // Another user's: it is there.
    if (codeOf(error) !== "EPERM") throw error;
  }
  return "";
}

function textOf(path: string): string {
  return orNullNow(() => readFileSync(path, "utf8").trim(), "ENOENT", "ESRCH") ?? "";
}

function linkOf(path: string): string {
  return orNullNow(() => readlinkSync(path), "ENOENT", "EACCES") ?? "";
}
