import type { ListedObject } from "../source/source.js";

/**
 * One page of a ListObjectsV2 response (`encoding-type=url`). Read here because the client's own reader takes names that
 * look like numbers for numbers ("0012" becomes 12).
 */
export function parsePage(xml: string): { objects: ListedObject[]; truncated: boolean } {
  const objects: ListedObject[] = [];
  for (const [, content] of xml.matchAll(/<Contents>([^]*?)<\/Contents>/g)) {
    const key = /<Key>([^<]*)<\/Key>/.exec(content ?? "")?.[1];
    const size = /<Size>(\d+)<\/Size>/.exec(content ?? "")?.[1];
    if (key === undefined || size === undefined) continue;
    const modifiedMs = Date.parse(/<LastModified>([^<]*)<\/LastModified>/.exec(content ?? "")?.[1] ?? "");
    objects.push({
      key: decodeURIComponent(key.replaceAll("+", " ")),
      sizeBytes: Number(size),
      modifiedMs: Number.isNaN(modifiedMs) ? 0 : modifiedMs,
      etag: (/<ETag>([^<]*)<\/ETag>/.exec(content ?? "")?.[1] ?? "").replace(/&quot;|&#34;|"/g, ""),
    });
  }
  return { objects, truncated: /<IsTruncated>true<\/IsTruncated>/.test(xml) };
}

/** The query of the page after `after`, the last key of the page before. `prefix` and `after` are S3's, with the store's prefix. */
export function pageQuery(prefix: string, after: string): string {
  const parameters = {
    "encoding-type": "url",
    "list-type": "2",
    "max-keys": "1000",
    prefix,
    ...(after === "" ? {} : { "start-after": after }),
  };
  // Sorted by name, as the signature wants them.
  return Object.entries(parameters)
    .map(([name, value]) => `${name}=${escaped(value)}`)
    .join("&");
}

/** As the signature wants it: also of what `encodeURIComponent` leaves alone. */
function escaped(value: string): string {
  return encodeURIComponent(value).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
