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

/**
 * Whether an image may be read once more where its record says that it lies, as far as the uri tells: of an image that came inside its record and
 * names a place that is not opened, the bytes are kept.
 */
export function mayBeReadAgain(config: Config): (uri: string) => boolean {
  if (config.sources.allow === undefined && config.kafka === undefined) return () => true;
  const { allow } = config.sources;
  const own = (config.ownSources ?? []).flatMap(({ places }) => places);
  const folders = [...(allow?.roots ?? []), ...own.filter((place) => !isBucketPlace(place)).map(beforeGlob)];
  const buckets = [...(allow?.buckets ?? []).map((place) => `s3://${place}`), ...own.filter(isBucketPlace)];
  return (uri) => {
    const file = /^(?:file|tar):\/\/(\/[^?#]*)/.exec(uri)?.[1];
    if (file === undefined) return buckets.some((place) => uri.startsWith(place));
    return folders.some((folder) => isBelow(decodedPath(file), folder));
  };
}

function decodedPath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return "";
  }
}

const isBelow = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);

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
