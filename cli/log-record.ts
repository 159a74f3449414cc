import { LOG_LEVELS, type LogLevel } from "../schemas/log-level.js";

/** One record of `--log json`: a line. What JSON cannot hold is there as text. */
export function logRecord(atMs: number, level: LogLevel, event: string, fields: object): string {
  return JSON.stringify({ time: new Date(atMs).toISOString(), level, ...fields, event }, plainValue);
}

/** A line for people, of a command that goes on for days */
export function stampedLine(atMs: number, level: LogLevel, message: string): string {
  return `${new Date(atMs).toISOString()} ${level.padEnd(5)} ${message}`;
}

export function isAtLeast(level: LogLevel, least: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(least);
}

/** What JSON cannot hold, as text */
export function plainValue(_name: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Error) return value.message;
  return value;
}
