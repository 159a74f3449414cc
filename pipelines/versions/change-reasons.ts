import type { Store } from "../../connectors/store/store.js";
import { archivedLabels } from "../../operators/archive/image-labels.js";
import { rowTest, type ConditionColumns, type RowTest } from "../../operators/select/row-conditions.js";
import type { DiffReason } from "../../schemas/api/versions.js";
import { canonicalJson } from "../../schemas/canonical.js";
import type { Frontier } from "../../schemas/frontier.js";
import type { ImageLabel, LabelFrontier } from "../../schemas/image-label.js";
import type { LeftOut } from "../../schemas/left-out.js";
import type { Manifest } from "../../schemas/manifest.js";
import { leftOutOf, leftOutText } from "./left-out.js";

/** What of a row its reason follows from. */
export interface ChangedImage {
  readonly sha256: string;
  readonly rank: number;
  /** null of a row by a label that the teacher did not archive in the class */
  readonly probability: number | null;
  readonly partition: number;
  readonly offset: number;
  /** What conditions are on; undefined where neither version has any */
  readonly facts?: ConditionColumns | undefined;
}

export interface Because {
  readonly reason: DiffReason;
  readonly because: string;
}

/** A class in both versions. */
export interface ComparedClass {
  /** Its number in each, null where one lacks it */
  readonly class: number | null;
  readonly classBefore: number | null;
  /** Probability of the last row; null without rows */
  readonly cutoffBefore: number | null;
  readonly cutoffAfter: number | null;
  readonly kBefore: number | null;
  readonly kAfter: number | null;
}

/** Why images entered, left and moved between two versions: from what both manifests say, and from what people said between them. */
export class ChangeReasons {
  readonly #before: Manifest;
  readonly #after: Manifest;
  readonly #said: ReadonlyMap<string, ImageLabel>;
  readonly #sameTeacher: boolean;
  /** What each of them left out, by class and digest */
  readonly #outBefore: ReadonlyMap<string, LeftOut>;
  readonly #outAfter: ReadonlyMap<string, LeftOut>;
  /** Which condition leaves a row out of each of them */
  readonly #conditionBefore: RowTest | null;
  readonly #conditionAfter: RowTest | null;
  /** Parameters of the selection that differ, but for K */
  readonly #parameters: string;

  private constructor(
    before: Manifest,
    after: Manifest,
    said: ReadonlyMap<string, ImageLabel>,
    [outBefore, outAfter]: readonly [ReadonlyMap<string, LeftOut>, ReadonlyMap<string, LeftOut>],
  ) {
    this.#outBefore = outBefore;
    this.#outAfter = outAfter;
    this.#before = before;
    this.#after = after;
    this.#said = said;
    this.#conditionBefore = rowTest(before.select.where);
    this.#conditionAfter = rowTest(after.select.where);
    this.#sameTeacher = before.teacher.digest === after.teacher.digest;
    this.#parameters = otherParameters(before, after).join(", ");
  }

  /** Throws what reading the label log and a version's files throws. */
  static async between(store: Store, before: Manifest, after: Manifest): Promise<ChangeReasons> {
    const out = [await leftOutOf(store, before), await leftOutOf(store, after)] as const;
    return new ChangeReasons(before, after, await lastSaid(store, before, after), out);
  }

  ofEntered(row: ChangedImage, pair: ComparedClass): Because {
    if (!this.#sameTeacher) return this.#otherTeacher();
    const out = this.#outBefore.get(`${pair.classBefore} ${row.sha256}`);
    if (out !== undefined) {
      return { reason: reasonOf(out), because: `version ${this.#before.number} took it for a ${leftOutText(out)}` };
    }
    const label = this.#said.get(row.sha256);
    if (label !== undefined) return ofLabel(label);
    if (!isCovered(this.#before.provenance.frontier, row)) {
      return { reason: "new", because: `came after version ${this.#before.number} was cut` };
    }
    const unmet = row.facts && this.#conditionBefore?.(row.facts, 0);
    if (unmet != null) return leftOutByWhere(unmet, this.#before);
    const { cutoffBefore, kBefore, kAfter } = pair;
    if (kBefore !== null && kAfter !== null && kBefore < kAfter && row.rank > kBefore) {
      return { reason: "parameters", because: `K is ${kAfter}, and was ${kBefore}` };
    }
    if (this.#parameters !== "") return this.#otherParameters();
    if (cutoffBefore !== null && row.probability !== null && row.probability <= cutoffBefore) {
      const by = digits(cutoffBefore - row.probability);
      return {
        reason: "room",
        because: `was ${by} below the cut-off of version ${this.#before.number}; there is room now`,
      };
    }
    return this.#otherParameters();
  }

  ofLeft(row: ChangedImage, pair: ComparedClass): Because {
    if (!this.#sameTeacher) return this.#otherTeacher();
    const out = this.#outAfter.get(`${pair.class} ${row.sha256}`);
    if (out !== undefined) return { reason: reasonOf(out), because: leftOutText(out) };
    const label = this.#said.get(row.sha256);
    if (label !== undefined) return ofLabel(label);
    if (!isCovered(this.#after.provenance.frontier, row)) {
      return { reason: "new", because: `came after version ${this.#after.number} was cut` };
    }
    const unmet = row.facts && this.#conditionAfter?.(row.facts, 0);
    if (unmet != null) return leftOutByWhere(unmet, this.#after);
    const { cutoffAfter, kBefore, kAfter } = pair;
    if (kBefore !== null && kAfter !== null && kAfter < kBefore && row.rank > kAfter) {
      return { reason: "parameters", because: `K is ${kAfter}, and was ${kBefore}` };
    }
    if (this.#parameters !== "") return this.#otherParameters();
    if (cutoffAfter !== null && row.probability !== null && row.probability <= cutoffAfter) {
      const by = digits(cutoffAfter - row.probability);
      return { reason: "pushed-out", because: `${by} below the cut-off of version ${this.#after.number}` };
    }
    return this.#otherParameters();
  }

  ofMoved(row: ChangedImage, rankBefore: number): Because {
    if (!this.#sameTeacher) return this.#otherTeacher();
    const by = row.rank - rankBefore;
    const ranks = `${Math.abs(by)} ${Math.abs(by) === 1 ? "rank" : "ranks"}`;
    return {
      reason: "rank",
      because: by > 0 ? `better images came: ${ranks} down` : `images above it left: ${ranks} up`,
    };
  }

  #otherTeacher(): Because {
    return {
      reason: "teacher",
      because: `teacher ${this.#after.teacher.name} (${this.#after.teacher.digest.slice(0, 12)}) scored it otherwise`,
    };
  }

  #otherParameters(): Because {
    const which = this.#parameters === "" ? "" : `: ${this.#parameters}`;
    return { reason: "parameters", because: `version ${this.#after.number} was made by other parameters${which}` };
  }
}

function reasonOf({ by }: LeftOut): DiffReason {
  return by === "near" ? "duplicate" : "guard";
}

function leftOutByWhere(condition: string, { number }: Manifest): Because {
  return { reason: "parameters", because: `left out by where of version ${number}: ${condition}` };
}

function ofLabel(label: ImageLabel): Because {
  return { reason: label.verdict === "erased" ? "erased" : "label", because: saidText(label) };
}

/** Names of the selection's parameters that differ, but for K, which tells by itself whom it let in. */
function otherParameters(before: Manifest, after: Manifest): string[] {
  const [old, young]: Record<string, unknown>[] = [
    { ...before.select, span: before.span, guard: before.guard?.digest, "what people say": before.labels },
    { ...after.select, span: after.span, guard: after.guard?.digest, "what people say": after.labels },
  ];
  return [...new Set([...Object.keys(old!), ...Object.keys(young!)])].filter(
    (name) => name !== "k" && canonicalJson(jsonOf(old![name])) !== canonicalJson(jsonOf(young![name])),
  );
}

function jsonOf(value: unknown): Parameters<typeof canonicalJson>[0] {
  return (value ?? null) as Parameters<typeof canonicalJson>[0];
}

/** The newest that was said of each image between the two versions. */
async function lastSaid(store: Store, before: Manifest, after: Manifest): Promise<Map<string, ImageLabel>> {
  const last = new Map<string, ImageLabel>();
  const [low, high] = [before, after].map(({ provenance }) => provenance.labels);
  if (before.provenance.stream !== after.provenance.stream) return last;
  // Compared the other way round, what was said between counts, too.
  const ends: LabelFrontier = [...new Set([...low!, ...high!].map(({ partition }) => partition))]
    .sort((a, b) => a - b)
    .map((partition) => ({ partition, end: Math.max(endOf(low!, partition), endOf(high!, partition)) }));
  for (const { partition, end } of ends) {
    const from = Math.min(endOf(low!, partition), endOf(high!, partition));
    if (from === end) continue;
    let at = 0;
    for await (const label of archivedLabels(store, after.provenance.stream, [{ partition, end }])) {
      if (at++ >= from) last.set(label.sha256, label);
    }
  }
  return last;
}

function endOf(frontier: LabelFrontier, partition: number): number {
  return frontier.find((one) => one.partition === partition)?.end ?? 0;
}

function isCovered(frontier: Frontier, { partition, offset }: ChangedImage): boolean {
  return frontier.some((chain) => chain.partition === partition && chain.origin <= offset && offset < chain.end);
}

/** What somebody said, as a sentence. */
export function saidText(label: ImageLabel): string {
  const who = label.by ?? "somebody";
  if (label.verdict === "is") return `${who} said that it is ${label.class}`;
  if (label.verdict === "not") return `${who} said that it is not ${label.class}`;
  if (label.verdict === "erased") return `${who} erased it`;
  if (label.verdict === "duplicate") return `${who} said that it is a duplicate`;
  return label.verdict === "none" ? `${who} said that it is of no class` : `${who} withdrew what was said of it`;
}

/** Two digits that count. */
export const digits = (value: number): string => (value === 0 ? "0" : value.toPrecision(2));
