import { useEffect, useRef, useState } from "preact/hooks";
import type { ClassPage, ClassRows, VersionClass } from "../../../schemas/api/versions.ts";
import { go } from "../address.ts";
import type { ScreenProps } from "../app.tsx";
import { call, CallError, classUrl, withQuery } from "../calls.ts";
import { PAGE, usePages } from "../pages.ts";
import { Fill } from "../parts/fill.tsx";
import { Picture } from "../parts/picture.tsx";
import { useScrolled } from "../parts/place.ts";
import { Spark } from "../parts/spark.tsx";
import { Empty, Failed, Loading, Outdated } from "../parts/states.tsx";
import { countText, plural, probabilityText, shareText } from "../wording.ts";

const ROW = 64;
const ORDERS = {
  starving: "starving first",
  number: "by number",
  label: "by name",
  cutoff: "lowest cut-off",
  change: "cut-off that changed",
  drift: "share that drifts",
} as const;

/** All classes of the newest version: how full, how sure, what changed. */
export function Classes({ address, watched, dataset, overview }: ScreenProps) {
  const order = address.query["order"] ?? "starving";
  const search = address.query["search"] ?? "";
  const version = address.query["version"] ?? "latest";
  const path = withQuery(`/api/versions/${encodeURIComponent(dataset.name)}/${version}/classes`, { order, search });
  const pages = usePages<ClassPage>(path, watched.changes);
  const { ref, seen } = useScrolled<HTMLDivElement>();
  const page = pages.newest;
  const first = Math.max(0, Math.floor(seen.top / ROW) - 3);
  const last = Math.min(page?.found ?? 0, Math.ceil((seen.top + seen.height) / ROW) + 3);
  useEffect(() => {
    pages.need(first, last);
  });
  const put = (next: Record<string, string>): void => {
    const query = { dataset: dataset.name, version: address.query["version"], order, search, ...next };
    go(withQuery("/classes", query), { replace: true });
  };
  if (dataset.newest === null)
    return <NoVersion dataset={dataset.name} live={watched.live?.archived ?? 0} folder={overview.folder} />;
  if (pages.error !== null && page === null) return <Failed error={pages.error} retry={pages.retry} />;
  return (
    <section class="classes">
      <header class="screen-head">
        <h1>Classes</h1>
        {page === null ? null : (
          <p class="facts">
            <strong>{countText(page.full)}</strong> of {plural(page.classes, "class", "classes")} full
            <a href={`/version/${encodeURIComponent(page.dataset)}/${page.number}`}>version {page.number}</a>
            {page.drift === null || page.drift.isWhole ? null : (
              <span class="fine">
                shares of {countText(page.drift.rowsNow)} and {countText(page.drift.rowsBefore)} sampled rows
              </span>
            )}
          </p>
        )}
        <div class="tools">
          <input
            type="search"
            aria-label="Search classes"
            placeholder="Search"
            value={search}
            onInput={(event) => {
              put({ search: event.currentTarget.value });
            }}
          />
          <select
            aria-label="Order"
            value={order}
            onChange={(event) => {
              put({ order: event.currentTarget.value });
            }}
          >
            {Object.entries(ORDERS).map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </select>
        </div>
      </header>
      <Outdated error={pages.error} retry={pages.retry} />
      <div class="columns class-columns fine" aria-hidden="true">
        <span>class</span>
        <span>fill</span>
        <span>cut-off</span>
        <span title="How many of the images that came have it as their best class: over the stream, since the version before, and before that">
          of what comes
        </span>
        <span>best, and at the cut-off</span>
      </div>
      <div class="list" ref={ref} tabIndex={-1}>
        {page === null ? (
          <Loading rows={10} label="Reading the classes" />
        ) : page.found === 0 ? (
          <Empty title="No class of that name">
            <p>
              None of {plural(page.classes, "class", "classes")} has “{search}” in its name.
            </p>
          </Empty>
        ) : (
          <ul class="list-all" style={{ height: `${page.found * ROW}px` }}>
            {Array.from({ length: Math.max(0, last - first) }, (_, at) => first + at).map((at) => {
              const one = pages.at(at)?.rows[at % PAGE];
              return (
                <li key={at} style={{ transform: `translateY(${at * ROW}px)`, height: `${ROW}px` }}>
                  {one === undefined ? (
                    <span class="bone" />
                  ) : (
                    <ClassRow one={one} dataset={page.dataset} number={page.number} />
                  )}
                </li>
              );
            })}
          </ul>
        )}
      </div>
    </section>
  );
}

function ClassRow({
  one,
  dataset,
  number,
}: {
  readonly one: VersionClass;
  readonly dataset: string;
  readonly number: number;
}) {
  const change = one.worst === null || one.worstBefore === null ? 0 : one.worst - one.worstBefore;
  const distinct = one.count - one.repeated;
  return (
    <a class="class-row" href={withQuery(classUrl(one.label), { dataset })}>
      <span class="name">
        <strong>{one.label}</strong>
        <span class="fine">#{one.class}</span>
      </span>
      <span class="filled">
        <Fill count={distinct} k={one.k} label={one.label} />
        <span class="fine">
          {countText(distinct)} of {countText(one.k)}
        </span>
      </span>
      <span class="cutoff">
        {probabilityText(one.worst)}
        {change === 0 ? null : (
          <span class={`fine ${change > 0 ? "up-change" : "down-change"}`}>
            {" "}
            {change > 0 ? "▲" : "▼"} {Math.abs(change).toPrecision(1)}
          </span>
        )}
      </span>
      <Share one={one} />
      <Thumbs dataset={dataset} number={number} index={one.class} count={one.count} />
    </a>
  );
}

/** How often it comes, beside how often it came before the version before. */
function Share({ one: { share, shareBefore, shares } }: { readonly one: VersionClass }) {
  if (share === null) return <span class="share fine">–</span>;
  const line =
    shares === null ? null : <Spark values={shares} label={`its share of what came, ${shareText(share)} now`} />;
  if (shareBefore === null) {
    return (
      <span class="share">
        {line}
        <span>{shareText(share)}</span>
      </span>
    );
  }
  const ratio = shareBefore === 0 ? null : share / shareBefore;
  const isOther = ratio === null ? share > 0 : ratio > 1.25 || ratio < 0.8;
  return (
    <span class="share">
      {line}
      <span>
        {shareText(share)}
        <span class={`fine ${isOther ? (share > shareBefore ? "up-change" : "down-change") : ""}`}>
          {" "}
          {share === shareBefore ? "as before" : `${share > shareBefore ? "▲" : "▼"} from ${shareText(shareBefore)}`}
        </span>
      </span>
    </span>
  );
}

/** Thumbnails are asked for one class after the other: reading an index takes the server's time. */
let queue: Promise<unknown> = Promise.resolve();
/** How long a class must be seen before its thumbnails are asked for, ms: what is scrolled past is not */
const SETTLED_MS = 120;

function Thumbs({
  dataset,
  number,
  index,
  count,
}: {
  readonly dataset: string;
  readonly number: number;
  readonly index: number;
  readonly count: number;
}) {
  const [digests, set] = useState<readonly string[]>([]);
  const isGone = useRef(false);
  useEffect(() => {
    isGone.current = false;
    const timer = setTimeout(() => {
      queue = queue.then(async () => {
        if (isGone.current) return;
        const path = `/api/versions/${encodeURIComponent(dataset)}/${number}/classes/${index}/rows`;
        const found = await Promise.all([
          digestsOf(`${path}?from=0&limit=3`),
          count > 3 ? digestsOf(`${path}?from=${Math.max(3, count - 3)}&limit=3`) : [],
        ]);
        set(found.flat());
      });
    }, SETTLED_MS);
    return () => {
      isGone.current = true;
      clearTimeout(timer);
    };
  }, [dataset, number, index, count]);
  return (
    <span class="thumbs">
      {digests.map((sha256, at) => (
        <span key={sha256} class={at === 3 ? "thumb apart" : "thumb"}>
          <Picture sha256={sha256} side={96} alt="" />
        </span>
      ))}
    </span>
  );
}

async function digestsOf(path: string): Promise<readonly string[]> {
  try {
    return (await call<ClassRows>(path)).rows.map(({ sha256 }) => sha256);
  } catch (error) {
    // The row says all but what it looks like.
    if (error instanceof CallError) return [];
    throw error;
  }
}

function NoVersion({
  dataset,
  live,
  folder,
}: {
  readonly dataset: string;
  readonly live: number;
  readonly folder: string;
}) {
  return (
    <Empty title="No version yet">
      <p>
        {live === 0
          ? `Nothing was scored into ${folder} yet. \`sluice ingest\` scores images, and this page shows them as they come.`
          : `${plural(live, "record")} are archived, and no version of ${dataset} was published. The flow says what the trigger waits for; the classes can be looked at already.`}
      </p>
      <p class="actions">
        <a class="button" href="/flow">
          Look at the flow
        </a>
        {live === 0 ? null : (
          <a class="button" href={withQuery("/class/0", { dataset })}>
            Look at the first class
          </a>
        )}
      </p>
    </Empty>
  );
}
