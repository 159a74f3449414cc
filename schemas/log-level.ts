import type { Observed } from "./observed.js";

/** By what is lost. error: something is, or the process stops. warn: something is delayed, left out or taken for granted. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** At which level the log has an event; null where it has none: some come many times a second. */
export function levelOf(observed: Observed): LogLevel | null {
  switch (observed.event) {
    case "loop.turned":
    case "loop.idle":
    case "batch.scored":
    case "thresholds.read":
    case "schedule.followed":
    case "span.ended":
      return null;
    case "log.appended":
    case "images.sent":
    case "checkpoint.written":
      return "debug";
    case "loop.ready":
    case "partition.given":
    case "partition.left":
      return "info";
    case "notices.read":
      return observed.refused > 0 ? "warn" : "debug";
    case "loop.away":
    case "log.retried":
    case "version.refused":
      return "warn";
    case "segment.archived":
      return observed.counts.lost > 0 ? "error" : observed.counts.quarantined > 0 ? "warn" : "debug";
    case "version.cut":
      return observed.outcome === "created" ? "info" : "debug";
    case "archive.compacted":
      return observed.segments > 0 ? "info" : "debug";
    case "schedule.ended":
      return observed.exitCode === 0 ? "info" : "error";
  }
}
