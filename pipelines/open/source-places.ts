import { existsSync } from "node:fs";
import { OPEN_PLACES, placeGuard, type AllowedRoot, type PlaceGuard } from "../../connectors/source/allowed-places.js";
import type { Config } from "../../schemas/config.js";
import { withSource, type DeclaredSource } from "../../schemas/declared-source.js";
import { SOURCE_SCHEMES } from "../../schemas/source-config.js";
import { bucketPlace, isBucketPlace } from "./bucket-place.js";

/**
 * Which places this process opens where a record names them: those of `sources.allow`, and the stream's own sources. In the data
 * folder's log are records of this machine alone, so that without `sources.allow` every place is opened.
 */
export function guardOf({ kafka, sources, ownSources = [] }: Config): PlaceGuard {
  const { allow } = sources;
  if (allow === undefined && kafka === undefined) return OPEN_PLACES;
  const own = ownSources.flatMap(({ places, ...source }) => places.map((place) => ({ ...source, place })));
  const buckets = [
    ...(allow?.buckets ?? []).map((place) => bucketAndPrefix(place)),
    ...own.filter(({ place }) => isBucketPlace(place)).map(({ place }) => bucketPlace(place)),
  ];
  const roots = [
    ...(allow?.roots ?? []).map((path) => ({ path })),
    ...own.filter(({ place }) => !isBucketPlace(place)).map(({ place, ...source }) => rootOf(place, source)),
  ];
  return placeGuard({ schemes: allow?.schemes ?? SOURCE_SCHEMES, roots, buckets });
}

/** A configuration for work on a source that the caller names. */
export function withOwnSource(config: Config, source: DeclaredSource | null): Config {
  return source === null ? config : { ...config, ownSources: withSource(config.ownSources ?? [], source) };
}

function bucketAndPrefix(place: string): { bucket: string; prefix: string } {
  const [bucket = "", ...rest] = place.split("/");
  return { bucket, prefix: rest.join("/") };
}

function rootOf(place: string, { followLinks, linksWithin }: Omit<DeclaredSource, "places" | "include">): AllowedRoot {
  const links = !followLinks
    ? {}
    : { links: linksWithin === undefined ? ("anywhere" as const) : { within: linksWithin } };
  return { path: beforeGlob(place), ...links };
}

/** Of a glob or a range of shards the folder that all of them lie in. */
function beforeGlob(place: string): string {
  const glob = place.search(/[*?[{]/);
  if (glob < 0 || existsSync(place)) return place;
  return place.slice(0, place.lastIndexOf("/", glob)) || "/";
}
