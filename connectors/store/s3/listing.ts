import type { ListedObject } from "../../source/source.js";

/**
 * One page of a ListObjectsV2 response, asked for with `encoding-type=url`. Read here because the client's own reader takes names that
 * look like numbers for numbers ("0012" becomes 12).
 */
export function parsePage(xml: string): { objects: ListedObject[]; truncated: boolean } {
  const objects: ListedObject[] = [];
  // Not every server heeds `encoding-type` (versitygw does not); those that do say so.
  const isEncoded = xml.includes("<EncodingType>url</EncodingType>");
  for (const [, content] of xml.matchAll(/<Contents>([^]*?)<\/Contents>/g)) {
    const key = /<Key>([^<]*)<\/Key>/.exec(content ?? "")?.[1];
    const size = /<Size>(\d+)<\/Size>/.exec(content ?? "")?.[1];
    if (key === undefined || size === undefined) continue;
    const modifiedMs = Date.parse(/<LastModified>([^<]*)<\/LastModified>/.exec(content ?? "")?.[1] ?? "");
    objects.push({
      key: isEncoded ? decodeURIComponent(key.replaceAll("+", " ")) : unescapedXml(key),
      sizeBytes: Number(size),
      modifiedMs: Number.isNaN(modifiedMs) ? 0 : modifiedMs,
      etag: unescapedXml(/<ETag>([^<]*)<\/ETag>/.exec(content ?? "")?.[1] ?? "").replaceAll('"', ""),
    });
  }
  return { objects, truncated: /<IsTruncated>true<\/IsTruncated>/.test(xml) };
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescapedXml(text: string): string {
  return text.replace(
    /&(?:#x([0-9a-fA-F]+)|#(\d+)|(amp|lt|gt|quot|apos));/g,
    (_, hex?: string, decimal?: string, name?: string) =>
      name === undefined
        ? String.fromCodePoint(hex === undefined ? Number(decimal) : parseInt(hex, 16))
        : ENTITIES[name]!,
  );
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
