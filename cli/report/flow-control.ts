import type { StandingControl } from "../../schemas/flow-control.js";

const WORDS = { run: "Set going", pause: "Paused", drain: "Asked to drain" } as const;

/** Who asked what, when, and why: a sentence. */
export function controlText({ want, by, atMs, reason }: StandingControl): string {
  return `${WORDS[want]} by ${by} at ${new Date(atMs).toISOString()}${reason === null ? "." : `: ${reason}.`}`;
}
