/** A span of a sampled trace, as W3C Trace Context names it: lower-case hex of 16 and of 8 bytes. */
export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
}

/** An image whose way is traced: its place in the stream, and the span that came last. */
export interface TracedImage {
  readonly partition: number;
  readonly offset: number;
  readonly trace: TraceContext;
}

/** The header of a record that one trace goes through. Source: W3C Trace Context, level 1 */
export const TRACEPARENT = "traceparent";
/** The header of a record that tells of many images: those of them that are traced, as `partition:offset:traceparent`, between commas */
export const TRACED_HEADER = "sluice-traced";
/** Images named in one header: some 70 bytes each */
const MOST_IN_A_HEADER = 64;

const SAMPLED = 1;

/** null where there is none, where it is not sampled, and where it does not parse: a trace is never worth a record. */
export function parseTraceparent(text: string | undefined): TraceContext | null {
  const found = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(text ?? "");
  if (found === null) return null;
  const [, version, traceId = "", spanId = "", flags = "", rest] = found;
  // A later version may say more behind; version 00 may not, and ff is none.
  if (version === "ff" || (version === "00" && rest !== undefined)) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return (Number.parseInt(flags, 16) & SAMPLED) === 0 ? null : { traceId, spanId };
}

export function traceparentOf({ traceId, spanId }: TraceContext): string {
  return `00-${traceId}-${spanId}-01`;
}

/** Headers that name the first of these images; none of none. */
export function tracedHeaders(images: readonly TracedImage[]): Record<string, string> {
  if (images.length === 0) return {};
  const named = images.slice(0, MOST_IN_A_HEADER);
  const text = named.map(({ partition, offset, trace }) => `${partition}:${offset}:${traceparentOf(trace)}`).join(",");
  return { [TRACED_HEADER]: text };
}

/** What `tracedHeaders` has written; what does not parse is left out. */
export function tracedIn(headers: Readonly<Record<string, string>>): TracedImage[] {
  const text = headers[TRACED_HEADER];
  if (text === undefined) return [];
  return text.split(",").flatMap((one) => {
    const [, partition, offset, parent] = /^(\d{1,9}):(\d{1,15}):(.+)$/.exec(one) ?? [];
    const trace = parseTraceparent(parent);
    return trace === null ? [] : [{ partition: Number(partition), offset: Number(offset), trace }];
  });
}
