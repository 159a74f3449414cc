import type { WallImage } from "./wall-rows.js";

/** What of a class is shown; nothing given: all that ranks */
export interface WallFilter {
  readonly source?: string | undefined;
  /** YYYY-MM-DD, UTC */
  readonly day?: string | undefined;
  /** An empty text: those without one */
  readonly licence?: string | undefined;
  readonly show: "all" | "left-out" | "like" | "disagree";
  /** Digest of the teacher that others are compared by; by default the one that scored most */
  readonly other?: string | undefined;
}

/** How many of a class's images have each value, the most frequent first. */
export interface WallFacets {
  readonly sources: readonly Facet[];
  readonly days: readonly Facet[];
  readonly licences: readonly Facet[];
}

export interface Facet {
  readonly value: string;
  readonly count: number;
}

/** Values that are told of each kind, the most frequent */
const TOLD = 50;

/** Whether the rows themselves must be read to tell what is shown. */
export function asksOfRows({ source, day, licence }: WallFilter): boolean {
  return source !== undefined || day !== undefined || licence !== undefined;
}

export function isShown({ uri, eventTimeMs, licence }: WallImage, filter: WallFilter): boolean {
  if (filter.source !== undefined && sourceOf(uri) !== filter.source) return false;
  if (filter.day !== undefined && dayOf(eventTimeMs) !== filter.day) return false;
  return filter.licence === undefined || (licence ?? "") === filter.licence;
}

export function facetsOf(images: Iterable<WallImage>): WallFacets {
  const [sources, days, licences] = [new Map(), new Map(), new Map()] as Map<string, number>[];
  const add = (to: Map<string, number>, value: string): void => {
    to.set(value, (to.get(value) ?? 0) + 1);
  };
  for (const { uri, eventTimeMs, licence } of images) {
    add(sources!, sourceOf(uri));
    add(days!, dayOf(eventTimeMs));
    add(licences!, licence ?? "");
  }
  return { sources: told(sources!), days: told(days!), licences: told(licences!) };
}

function told(counts: ReadonlyMap<string, number>): Facet[] {
  return [...counts]
    .map(([value, count]) => ({ value, count }))
    .sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1))
    .slice(0, TOLD);
}

/** Where an image is from: its folder, its archive of many, or its topic. */
export function sourceOf(uri: string): string {
  const member = uri.indexOf("#");
  if (member >= 0) return uri.slice(0, member).replace(/@[^@/]*$/, "");
  const topic = /^log:\/\/[^/]+\//.exec(uri)?.[0];
  return topic ?? uri.slice(0, uri.lastIndexOf("/") + 1);
}

function dayOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}
