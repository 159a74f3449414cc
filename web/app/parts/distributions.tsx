import {
  areaY,
  axisX,
  axisY,
  binX,
  dot,
  lineY,
  link,
  rectY,
  ruleX,
  ruleY,
  type PlotOptions,
  type RectYOptions,
} from "@observablehq/plot";
import { useEffect, useMemo, useState } from "preact/hooks";
import type { ClassPage, ClassRows } from "../../../schemas/api/versions.ts";
import type { Manifest } from "../../../schemas/manifest.ts";
import { useAnswer } from "../answer.ts";
import { call, CallError, withQuery } from "../calls.ts";
import { countText, plural, probabilityText, shareText } from "../wording.ts";
import { Plotted } from "./plotted.tsx";
import { Failed } from "./states.tsx";

/** Rows that one answer has at most */
const MOST_ROWS = 500;
/** Answers that are asked for to draw a class: those of a larger one are spread evenly over its ranks */
const ANSWERS = 4;
/** Classes that one can choose from */
const CHOICES = 500;
const HEIGHT = 190;

interface DistributionsProps {
  readonly manifest: Manifest;
  /** Of the version, in the API */
  readonly path: string;
}

/** How a version's scores lie: the cut-offs of its classes, the scores of one, and which classes come more often than they did. */
export function Distributions({ manifest, path }: DistributionsProps) {
  const cut = manifest.classes.flatMap(({ label, worst }) => (worst === null ? [] : [{ label, worst }]));
  const lowest = cut.toSorted((a, b) => a.worst - b.worst);
  const [chosen, setChosen] = useState(lowest[0]?.label ?? "");
  const index = manifest.classes.findIndex(({ label }) => label === chosen);
  return (
    <div class="cards distributions">
      <CutOffs cut={cut} />
      <article class="card">
        <div class="card-head">
          <h2>Score by rank</h2>
          <select
            aria-label="Class whose scores are shown"
            value={chosen}
            onChange={(event) => {
              setChosen(event.currentTarget.value);
            }}
          >
            {lowest.slice(0, CHOICES).map(({ label }) => (
              <option key={label}>{label}</option>
            ))}
          </select>
        </div>
        {index < 0 ? (
          <p class="fine">No class has rows that the teacher chose.</p>
        ) : (
          <ClassScores key={index} path={path} index={index} label={chosen} total={manifest.classes[index]!.count} />
        )}
      </article>
      <Drift path={path} />
    </div>
  );
}

function CutOffs({ cut }: { readonly cut: readonly { readonly label: string; readonly worst: number }[] }) {
  const middle = median(cut.map(({ worst }) => worst));
  const options = useMemo(
    (): PlotOptions => ({
      x: { label: "cut-off" },
      marks: [
        axisX({ ticks: 6, label: "cut-off" }),
        axisY({ ticks: 4, label: "classes", tickFormat: wholeText }),
        rectY(
          cut,
          binX<RectYOptions>({ y: "count" }, { x: { value: "worst", thresholds: 24 }, fill: "var(--accent)" }),
        ),
        ruleX(middle === null ? [] : [middle], { stroke: "var(--second)", strokeWidth: 2 }),
        ruleY([0], { stroke: "var(--strong-line)" }),
      ],
    }),
    [cut.length, middle],
  );
  return (
    <article class="card">
      <h2>Cut-offs of the classes</h2>
      <Plotted options={options} height={HEIGHT} label={`Cut-offs of ${plural(cut.length, "class", "classes")}`} />
      <p class="fine">
        The median is {probabilityText(middle)}, of {plural(cut.length, "class", "classes")}.
      </p>
    </article>
  );
}

interface ScoresProps {
  readonly path: string;
  readonly index: number;
  readonly label: string;
  readonly total: number;
}

interface Scored {
  readonly rank: number;
  readonly probability: number;
}

function ClassScores({ path, index, label, total }: ScoresProps) {
  const [rows, set] = useState<readonly Scored[] | CallError | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    const read = async (): Promise<void> => {
      const found: Scored[] = [];
      try {
        for (const from of startsOf(total)) {
          const page = withQuery(`${path}/classes/${index}/rows`, { from, limit: MOST_ROWS });
          const answer = await call<ClassRows>(page, { signal: stop.signal });
          for (const { rank, probability } of answer.rows) if (probability !== null) found.push({ rank, probability });
        }
        set(found);
      } catch (error) {
        if (stop.signal.aborted) return;
        if (!(error instanceof CallError)) throw error;
        set(error);
      }
    };
    void read();
    return () => {
      stop.abort();
    };
  }, [path, index, total]);
  const scored = rows === null || rows instanceof CallError ? null : rows;
  const options = useMemo(
    (): PlotOptions => ({
      y: { domain: domainOf(scored ?? []) },
      marks: [
        axisX({ ticks: 6, label: "rank", tickFormat: wholeText }),
        axisY({ ticks: 4, label: "probability" }),
        areaY(scored ?? [], {
          x: "rank",
          y1: domainOf(scored ?? [])[0],
          y2: "probability",
          fill: "var(--accent-soft)",
        }),
        lineY(scored ?? [], { x: "rank", y: "probability", stroke: "var(--accent)", strokeWidth: 1.5 }),
      ],
    }),
    [scored],
  );
  if (rows instanceof CallError) return <Failed error={rows} />;
  if (scored === null) return <div class="plotted bone" style={{ height: `${HEIGHT}px` }} />;
  const half = scored[Math.floor((scored.length - 1) / 2)];
  return (
    <>
      <Plotted options={options} height={HEIGHT} label={`Probability of ${label} by rank`} />
      <p class="fine">
        From {probabilityText(scored[0]?.probability)} down to {probabilityText(scored.at(-1)?.probability)}, half of
        them above {probabilityText(half?.probability)}
        {scored.length < total ? `; drawn from ${countText(scored.length)} of ${countText(total)} rows` : ""}.
      </p>
    </>
  );
}

/** Where the answers begin that a class is drawn from: its first and last rows among them. */
function startsOf(total: number): readonly number[] {
  const answers = Math.min(ANSWERS, Math.max(1, Math.ceil(total / MOST_ROWS)));
  const last = Math.max(0, total - MOST_ROWS);
  const isWhole = answers * MOST_ROWS >= total;
  return Array.from({ length: answers }, (_, at) =>
    isWhole ? at * MOST_ROWS : Math.round((last * at) / Math.max(1, answers - 1)),
  );
}

function domainOf(rows: readonly Scored[]): [number, number] {
  const least = rows.reduce((low, { probability }) => Math.min(low, probability), 1);
  const most = rows.reduce((high, { probability }) => Math.max(high, probability), 0);
  const room = Math.max(0.002, (most - least) * 0.08);
  return [Math.max(0, least - room), Math.min(1, most + room)];
}

function Drift({ path }: { readonly path: string }) {
  const found = useAnswer<ClassPage>(withQuery(`${path}/classes`, { order: "drift", limit: MOST_ROWS }));
  const rows = (found.value?.rows ?? []).flatMap(({ label, share, shareBefore }) =>
    share === null || shareBefore === null ? [] : [{ label, share, shareBefore }],
  );
  const most = rows.reduce((high, { share, shareBefore }) => Math.max(high, share, shareBefore), 0);
  const options = useMemo(
    (): PlotOptions => ({
      x: { domain: [0, most * 1.06] },
      y: { domain: [0, most * 1.06] },
      marks: [
        axisX({ ticks: 5, label: "share before", tickFormat: (share: number) => shareText(share) }),
        axisY({ ticks: 4, label: "share now", tickFormat: (share: number) => shareText(share) }),
        link([0], { x1: 0, y1: 0, x2: most * 1.06, y2: most * 1.06, stroke: "var(--strong-line)" }),
        dot(rows, {
          x: "shareBefore",
          y: "share",
          r: 3.5,
          fill: "var(--accent)",
          fillOpacity: 0.75,
          title: ({ label, share, shareBefore }: (typeof rows)[number]) =>
            `${label}: ${shareText(shareBefore)} before, ${shareText(share)} now`,
        }),
      ],
    }),
    [found.value],
  );
  const drifted = rows[0];
  return (
    <article class="card">
      <h2>Drift of the shares</h2>
      {found.error !== null ? (
        <Failed error={found.error} />
      ) : found.value === null || found.value.pending !== null ? (
        <div class="plotted bone" style={{ height: `${HEIGHT}px` }} />
      ) : drifted === undefined ? (
        <p class="fine">No version before it has shares to compare with.</p>
      ) : (
        <>
          <Plotted
            options={options}
            height={HEIGHT}
            label={`Shares of ${plural(rows.length, "class", "classes")}, before and now`}
          />
          <p class="fine">
            Above the line comes more often than before. {drifted.label} drifted most: {shareText(drifted.shareBefore)}{" "}
            before, {shareText(drifted.share)} now.
          </p>
        </>
      )}
    </article>
  );
}

/** Of a scale of things that are counted: between them is nothing to name. */
const wholeText = (value: number): string => (Number.isInteger(value) ? countText(value) : "");

function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  if (upper === undefined) return null;
  return sorted.length % 2 === 1 ? upper : (upper + sorted[middle - 1]!) / 2;
}
