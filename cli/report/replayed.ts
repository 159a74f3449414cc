import type { ReplayResult } from "../../pipelines/replay.js";
import type { ReplayPlan } from "../../pipelines/replay-plan.js";
import { countText, counted } from "../../schemas/counted.js";
import { tableText } from "../wording.js";
import { ingestCounts } from "./ingest-counts.js";

export interface ReplayedBy {
  readonly name: string;
  readonly digest: string;
}

const askedOf = ({ asked }: ReplayPlan): number => asked.reduce((sum, { start, end }) => sum + end - start, 0);

/** What the range had already, where it had anything. */
function coveredText({ archived, live }: ReplayPlan): string {
  return [
    archived === 0 ? "" : ` Replays have archived ${countText(archived)} of them already.`,
    live === 0
      ? ""
      : ` ${countText(live)} of them are the live chain's: \`sluice ingest\` or \`sluice run score\` scores them.`,
  ].join("");
}

/** What the log has forgotten of the range, and why; null where it has all. */
export function goneText({ gone }: ReplayPlan, onKafka: boolean): string | null {
  if (gone.length === 0) return null;
  const total = gone.reduce((sum, { start, end }) => sum + end - start, 0);
  const places = gone.map(({ partition, start, end }) => `${partition}:[${start}, ${end})`).join(", ");
  const why = onKafka
    ? "the topic's retention has removed them"
    : "log.retentionMs or log.retentionBytes has cut them, or the log was begun anew";
  return (
    `${counted(total, "offset")} that the range reaches back to ${total === 1 ? "is" : "are"} no longer in the log (${places}): ${why}. ` +
    "They are lost to this teacher; what others have archived of them stays."
  );
}

export function planText(plan: ReplayPlan, { name, digest }: ReplayedBy): string {
  const left = plan.chains.reduce((sum, { end, position }) => sum + end - position, 0);
  const head =
    `Would score ${counted(left, "offset")} of ${countText(askedOf(plan))} that were asked for, ` +
    `through ${name} (${digest.slice(0, 12)}).${coveredText(plan)}`;
  if (plan.chains.length === 0) return head;
  const rows = plan.chains.map(({ chain, end, position, isNew }) => [
    chain.partition,
    chain.origin,
    end,
    position - chain.origin,
    isNew ? "new" : "gone on with",
  ]);
  return `${head}\n${tableText(["partition", "from", "until", "archived", ""], rows)}`;
}

export function planObject(plan: ReplayPlan, { name, digest }: ReplayedBy): object {
  return {
    teacher: { name, digest },
    asked: plan.asked,
    gone: plan.gone,
    chains: plan.chains.map(({ chain: { partition, origin }, end, position, isNew }) => ({
      partition,
      origin,
      end,
      position,
      isNew,
    })),
    offsets: { asked: askedOf(plan), archived: plan.archived, live: plan.live },
    goesOn: plan.goesOn,
  };
}

/** `rebuild`: the command that makes a version of what was replayed. */
export function replayedText({ plan, counts, left }: ReplayResult, by: ReplayedBy, rebuild: string): string {
  const total = plan.chains.reduce((sum, { chain, end }) => sum + end - chain.origin, 0);
  if (total === 0) return `Nothing is left to replay of ${counted(askedOf(plan), "offset")}.${coveredText(plan)}`;
  const done = `Replayed ${countText(total - left)} of ${counted(total, "offset")} through ${by.name} (${by.digest.slice(0, 12)}).`;
  const next = left === 0 ? ` \`${rebuild}\` makes a version of them.` : "";
  return `${done} ${ingestCounts(counts)}${next}`;
}

export function replayedObject({ plan, counts, left }: ReplayResult, by: ReplayedBy): object {
  return { ...planObject(plan, by), counts, left };
}
