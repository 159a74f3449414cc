import { randomRank } from "../../../operators/select/random-rank.js";
import type { Selection } from "../../../schemas/dataset.js";
import { imageDigest } from "../../fixtures/archive.js";

export interface ModelImage {
  readonly image: number;
  readonly logits: readonly number[];
  readonly timeMs: number;
  readonly offset: number;
}

/** What somebody says of an image; `class` is one of the teacher's */
export interface ModelLabel {
  /** The number of a made image, or a digest */
  readonly image: number | string;
  readonly verdict: "is" | "not" | "none" | "withdrawn";
  readonly class: number;
}

/** The teacher's classes that an image may still be of, after all that was said. */
export function classesLeft(
  image: number | string,
  said: readonly ModelLabel[],
  classCount: number,
): ReadonlySet<number> {
  const all = Array.from({ length: classCount }, (_, index) => index);
  const about = said.filter((one) => one.image === image);
  const from = about.findLastIndex(({ verdict }) => verdict !== "not");
  const last = about[from];
  const denied = (after: number) => new Set(about.slice(after).map((one) => one.class));
  if (last === undefined || last.verdict === "withdrawn") {
    return new Set(all.filter((index) => !denied(from + 1).has(index)));
  }
  if (last.verdict === "none") return new Set();
  // An image of a class, of which it is later said that it is not of it, may be of any other that was not denied since.
  const denies = denied(from + 1);
  return denies.has(last.class) ? new Set(all.filter((index) => !denies.has(index))) : new Set([last.class]);
}

/** The class that an image is said to be of, null where it may be of several, or of none. */
export function classSaid(image: number | string, said: readonly ModelLabel[]): number | null {
  const about = said.filter((one) => one.image === image);
  const from = about.findLastIndex(({ verdict }) => verdict !== "not");
  const last = about[from];
  if (last?.verdict !== "is") return null;
  return about.slice(from).some((one) => one.verdict === "not" && one.class === last.class) ? null : last.class;
}

export interface ModelRow {
  readonly class: number;
  readonly sha256: string;
  readonly offset: number;
  readonly key: number;
  readonly probability: number;
  readonly repeat: number;
  readonly by: "teacher" | "label";
}

export interface ModelClasses {
  readonly labels: readonly string[];
  /** The teacher's classes that each stands for */
  readonly members: readonly (readonly number[])[];
}

/** The classes of a selection: by their first members. */
export function modelClasses({ labels }: Selection, teacherLabels: readonly string[]): ModelClasses {
  if (labels === undefined) return { labels: teacherLabels, members: teacherLabels.map((_, index) => [index]) };
  const made = Object.entries(labels).map(([label, names]) => ({
    label,
    members: names.map((name) => teacherLabels.indexOf(name)).sort((a, b) => a - b),
  }));
  made.sort((a, b) => a.members[0]! - b.members[0]!);
  return { labels: made.map(({ label }) => label), members: made.map(({ members }) => members) };
}

/** Whether the M best classes of every image name its P best of the selection's. */
export function topMAnswers(
  images: readonly ModelImage[],
  select: Selection,
  { members }: ModelClasses,
  topM: number,
  cardTemperature: number,
): boolean {
  const classCount = images[0]?.logits.length ?? 0;
  if (topM >= classCount) return true;
  if (members.some((list) => list.length > 1)) return images.length === 0;
  if (select.temperature !== undefined && select.temperature !== cardTemperature) return images.length === 0;
  const wanted = Math.min(select.p, members.length);
  return images.every(({ logits }) => {
    const order = logits.map((_, index) => index).sort((a, b) => logits[b]! - logits[a]!);
    const listed = order.slice(0, topM);
    const last = probabilityOf([listed.at(-1)!], logits, cardTemperature);
    return listed.filter((index) => members.some(([only]) => only === index)).length >= wanted || last < select.floor;
  });
}

function probabilityOf(members: readonly number[], logits: readonly number[], temperature: number): number {
  const shares = logits.map((logit) => Math.exp((logit - Math.max(...logits)) / temperature));
  return members.reduce((sum, member) => sum + shares[member]!, 0) / shares.reduce((sum, share) => sum + share, 0);
}

/** Whether an occurrence is what `where` asks for, by what `testSegment` says of the record at its offset. */
function isAskedFor({ where }: Selection, { image, offset, timeMs, logits }: ModelImage): boolean {
  if (where === undefined) return true;
  const licence = offset % 2 === 0 ? "CC0" : null;
  const noted = offset % 3 === 0 ? ["wrong-extension", "cmyk"] : [];
  const { licence: licences, origin, sizeBytes, eventTime, notes, confidence, logSumExp } = where;
  if (
    licences !== undefined &&
    (Array.isArray(licences) ? !licences.includes(licence) : licences.not.includes(licence))
  )
    return false;
  // No made record has an origin.
  if (origin !== undefined && Array.isArray(origin) && !origin.includes(null)) return false;
  if (10 + image < (sizeBytes?.least ?? 0) || 10 + image > (sizeBytes?.most ?? Number.POSITIVE_INFINITY)) return false;
  if (timeMs < Number(eventTime?.from ?? 0) || timeMs >= Number(eventTime?.until ?? Number.POSITIVE_INFINITY))
    return false;
  if (confidence !== undefined || logSumExp !== undefined) {
    const sum = logits.reduce((all, logit) => all + Math.exp(logit), 0);
    if (Math.exp(Math.max(...logits)) / sum < (confidence?.least ?? 0)) return false;
    if (Math.log(sum) < (logSumExp?.least ?? Number.NEGATIVE_INFINITY)) return false;
  }
  if (notes?.none?.some((note) => noted.includes(note)) === true) return false;
  return notes?.any === undefined || notes.any.some((note) => noted.includes(note));
}

/** Every row of every class sorted, and gone through by the rules as they are documented. */
export function modelRows(
  images: readonly ModelImage[],
  select: Selection,
  { members, labels }: ModelClasses,
  cardTemperature: number,
  said: readonly ModelLabel[] = [],
  { archived = Number.POSITIVE_INFINITY, places = true }: { archived?: number; places?: boolean } = {},
): ModelRow[] {
  const temperature = select.temperature ?? cardTemperature;
  const asked = images.filter((one) => isAskedFor(select, one));
  const occurrences = asked.flatMap(({ image, logits, timeMs, offset }): ModelRow[] => {
    const digest = imageDigest(image);
    const left = classesLeft(image, said, logits.length);
    const sha256 = Buffer.from(digest).toString("hex");
    const named = places ? classSaid(image, said) : null;
    const placedIn = members.findIndex((list) => named !== null && list.includes(named));
    const keyOf = (probability: number): number => {
      const { decay, seed } = select;
      const weight = decay === undefined ? 0 : ((timeMs - decay.landmarkMs) / decay.halfLifeMs) * Math.log(2);
      return select.order === "random" ? randomRank(seed!, digest, 0) : Math.log(probability) + weight;
    };
    if (placedIn >= 0) {
      // Whatever the teacher thinks of it: without a score where it archived others alone.
      const better = logits.filter((logit) => logit > logits[named!]!).length;
      const probability = better < archived ? probabilityOf(members[placedIn]!, logits, temperature) : Number.NaN;
      const key = Number.isNaN(probability) ? Number.NaN : keyOf(probability);
      return [{ class: placedIn, probability, sha256, offset, key, repeat: 0, by: "label" as const }];
    }
    return members
      .map((list, index) => ({ class: index, probability: probabilityOf(list, logits, temperature) }))
      .sort((a, b) => b.probability - a.probability)
      .slice(0, select.p)
      .filter(({ probability }) => probability >= select.floor)
      .filter((row) => members[row.class]!.some((member) => left.has(member)))
      .map((row) => ({ ...row, sha256, offset, key: keyOf(row.probability), repeat: 0, by: "teacher" as const }));
  });
  const order = ({ key }: ModelRow): number => (Number.isNaN(key) ? -Number.MAX_VALUE : key);
  occurrences.sort((a, b) => order(b) - order(a) || a.offset - b.offset);
  const best = [...new Map(occurrences.toReversed().map((row) => [`${row.class} ${row.sha256}`, row])).values()];
  const placed = best.filter(({ by }) => by === "label").sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
  const rows: ModelRow[] = best.filter(({ by }) => by === "teacher");
  rows.sort((a, b) =>
    a.key !== b.key ? b.key - a.key : a.sha256 !== b.sha256 ? (a.sha256 < b.sha256 ? -1 : 1) : a.class - b.class,
  );
  const k = modelQuota(select, labels, new Set(images.map(({ image }) => image)).size);
  const taken: ModelRow[][] = labels.map(() => []);
  const used = new Set<string>();
  let room = k.reduce((sum, one) => sum + one, 0);
  for (const row of [...placed, ...rows]) {
    if (select.balanced ? taken[row.class]!.length >= k[row.class]! : room === 0) continue;
    if (select.overlap === "best" && used.has(row.sha256)) continue;
    used.add(row.sha256);
    taken[row.class]!.push(row);
    room--;
  }
  if (select.repeat) {
    for (const [index, list] of taken.entries()) {
      const { length } = list;
      for (let row = length; length > 0 && row < k[index]!; row++) {
        list.push({ ...list[row % length]!, repeat: Math.floor(row / length) });
      }
    }
  }
  return taken.flat();
}

export function modelQuota({ k }: Selection, labels: readonly string[], scored: number): number[] {
  return labels.map((label) => {
    if (typeof k === "number") return k;
    if ("share" in k) return Math.min(k.most, Math.max(1, Math.round((k.share * scored) / labels.length)));
    return k.classes[label] ?? k.default;
  });
}
