/** What a PromQL expression names: metrics, each with the labels it is selected by; and the labels it is grouped by. */
export interface QueryNames {
  readonly metrics: readonly {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly within: string | null;
    /** Compared with itself some time ago: whether the series is new */
    readonly appears: boolean;
  }[];
  readonly grouped: readonly string[];
}

const GROUPING = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)/g;
const WORDS = new Set(["and", "or", "unless", "bool", "offset", "inf", "nan", "by", "without", "on", "ignoring"]);

/** Reads an expression as far as its names go. */
export function namesIn(expression: string): QueryNames {
  const grouped: string[] = [];
  const rest = expression.replace(GROUPING, (_, labels: string) => {
    grouped.push(...labels.split(",").flatMap((label) => (label.trim() === "" ? [] : [label.trim()])));
    return " ";
  });
  const metrics: { name: string; labels: Record<string, string>; within: string | null; appears: boolean }[] = [];
  // A range such as [5m] or [$__range] names nothing, nor does an offset; a selector's braces go with its metric.
  const selector = /([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\(|\{([^{}]*)\})?/g;
  const text = rest.replace(/\[[^\]]*\]|\boffset\s+\d+[a-z]+/g, " ");
  for (const found of text.matchAll(selector)) {
    const [, name, opens, inner = ""] = found;
    if (opens === "(" || WORDS.has(name!.toLowerCase())) continue;
    const before = text.slice(0, found.index).trimEnd();
    const labels = [...inner.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)\s*"([^"]*)"/g)];
    metrics.push({
      name: name!,
      labels: Object.fromEntries(labels.map(([, label, value]) => [label, value])) as Record<string, string>,
      within: /([a-z_]+)\s*\($/.exec(before)?.[1] ?? null,
      appears: before.endsWith(" unless") || /^\s*(\{[^{}]*\})?\s*unless /.test(text.slice(found.index + name!.length)),
    });
  }
  return { metrics, grouped };
}
