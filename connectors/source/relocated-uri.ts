import type { Relocation } from "../../schemas/relocation.js";
import { bytePath, percentDecode, percentEncode } from "./byte-path.js";

/** A uri taken apart: what opens it, where it lies, and which part of what lies there it names. */
interface UriParts {
  readonly scheme: "file" | "tar" | "s3";
  /** As in `Relocation` */
  readonly place: string;
  /** `#` and what follows, of a shard's member; else "" */
  readonly fragment: string;
}

/** A place as a person names it, an absolute path or `s3://bucket/prefix/`, as relocations have it. */
export function placeNamed(input: string): string {
  const [, bucket] = /^s3:\/\/(.*)$/is.exec(input) ?? [];
  const text = percentEncode(bytePath(bucket ?? input)).replace(/\/+$/, "");
  return bucket === undefined ? text || "/" : `s3://${text}`;
}

/** A place as people name it. */
export function shownPlace(place: string): string {
  return Buffer.from(percentDecode(place), "latin1").toString();
}

/** Whether what a uri names lies at a place or below it. */
export function liesBelow(uri: string, place: string): boolean {
  const parts = partsOf(uri);
  return parts !== null && restBelow(parts.place, place) !== null;
}

/** Where a relocation says that a uri lies now; null where it says nothing of it. Members of shards in buckets have no uri. */
export function relocatedUri(uri: string, { from, to }: Pick<Relocation, "from" | "to">): string | null {
  const parts = partsOf(uri);
  const rest = parts === null ? null : restBelow(parts.place, from);
  if (parts === null || rest === null) return null;
  const place = `${to === "/" ? "" : to}${rest}`;
  if (place.startsWith("s3://")) return parts.scheme === "tar" ? null : place;
  return parts.scheme === "tar" ? `tar:${place}${parts.fragment}` : `file://${place}`;
}

function partsOf(uri: string): UriParts | null {
  const [, scheme, host, path, fragment = ""] =
    /^(?:(file|s3):\/\/([^/?#]*)|tar:)(\/[^?#]*)((?:\?at=\d+)?#.*)?$/s.exec(uri) ?? [];
  if (path === undefined) return null;
  if (scheme === "s3") return { scheme, place: `s3://${canonical(`${host}${path}`)}`, fragment };
  if (scheme === "file")
    return host === "" || host === "localhost" ? { scheme, place: canonical(path), fragment } : null;
  return { scheme: "tar", place: canonical(path), fragment };
}

/** Producers may encode more or fewer characters than is needed. */
function canonical(text: string): string {
  return percentEncode(percentDecode(text));
}

/** What a place has beyond another that it lies at or below; null where it does not. */
function restBelow(place: string, above: string): string | null {
  if (above === "/") return place.startsWith("/") ? place : null;
  if (!place.startsWith(above)) return null;
  const rest = place.slice(above.length);
  return rest === "" || rest.startsWith("/") ? rest : null;
}
