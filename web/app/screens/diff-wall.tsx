import { useState } from "preact/hooks";
import type { ChangedRow, ClassDiffRows, Diff, Reason } from "../../../schemas/api/versions.ts";
import { go } from "../address.ts";
import { useAnswer } from "../answer.ts";
import type { ScreenProps } from "../app.tsx";
import { withQuery } from "../calls.ts";
import { versionBefore } from "../parts/earlier.ts";
import { Picture } from "../parts/picture.tsx";
import { Empty, Failed, Loading } from "../parts/states.tsx";
import { countText, plural, probabilityText } from "../wording.ts";

const REASONS: Readonly<Record<Reason, string>> = {
  new: "new images",
  label: "people said so",
  room: "room below",
  "pushed-out": "pushed out",
  parameters: "other parameters",
  teacher: "another teacher",
  rank: "others came or left",
};

/** Images of a side that are shown at first, and that one answer has at most */
const FEW = 60;
const MOST = 500;

/** Two versions, class by class: what entered, left and moved, as pictures, each with its reason. */
export function DiffWall({ address, dataset }: ScreenProps) {
  const { versions } = dataset;
  const newest = versions.at(-1) ?? 1;
  const after = Number(address.query["after"] ?? newest);
  const before = Number(address.query["before"] ?? versionBefore(versions, after) ?? versions[0] ?? after);
  const chosen = address.query["class"];
  const reason = (address.query["reason"] ?? "") as Reason | "";
  const pair = { dataset: dataset.name, before, after };
  const diff = useAnswer<Diff>(versions.length < 2 ? null : withQuery("/api/diff", pair));
  const classes = (diff.value?.classes ?? [])
    .map((one, at) => ({ ...one, at, changed: one.added + one.removed + one.moved }))
    .toSorted((a, b) => b.added + b.removed - a.added - a.removed || b.changed - a.changed || a.at - b.at);
  const named = classes.find(({ label }) => label === address.query["label"]) ?? classes[0];
  const shown = chosen === undefined ? named?.at : Number(chosen);
  const put = (next: Record<string, string | number>): void => {
    go(withQuery("/diff", { ...pair, class: shown, ...next }), { replace: true });
  };
  if (versions.length < 2) {
    return (
      <Empty title="One version compares with nothing">
        <p>
          {dataset.name} has {plural(versions.length, "version")}. When the next one is published, this shows which
          images entered and left, and why.
        </p>
        <p class="fine">
          <code>sluice rebuild</code> makes one at once, of all that was archived and said since.
        </p>
      </Empty>
    );
  }
  const choose = (name: "before" | "after", value: number) => (
    <select
      aria-label={name === "before" ? "Earlier version" : "Later version"}
      value={value}
      onChange={(event) => {
        put({ [name]: event.currentTarget.value });
      }}
    >
      {versions.includes(value) ? null : <option value={value}>version {value}, not there</option>}
      {versions.map((number) => (
        <option key={number} value={number}>
          version {number}
        </option>
      ))}
    </select>
  );
  return (
    <section class="diff">
      <header class="screen-head">
        <h1>Compare</h1>
        <div class="tools">
          {choose("before", before)}
          <span aria-hidden="true">→</span>
          {choose("after", after)}
        </div>
        {diff.value === null ? null : (
          <p class="facts">
            {diff.value.same ? (
              "the same rows"
            ) : (
              <>
                <span class="in">+{countText(diff.value.totals.added)}</span>
                <span class="out">−{countText(diff.value.totals.removed)}</span>
                <span>{countText(diff.value.totals.moved)} moved</span>
                <span class="fine">{countText(diff.value.totals.kept)} as they were</span>
              </>
            )}
          </p>
        )}
      </header>
      {diff.error !== null ? (
        <Failed error={diff.error} />
      ) : diff.value === null ? (
        <Loading label="Comparing" />
      ) : (
        <>
          {diff.value.parameters.length === 0 ? null : (
            <ul class="parameters">
              {diff.value.parameters.map(({ name, before: had, after: has }) => (
                <li key={name}>
                  <strong>{name}</strong> <code>{had}</code> → <code>{has}</code>
                </li>
              ))}
            </ul>
          )}
          <div class="diff-body">
            <ul class="diff-classes" aria-label="Classes, those that changed most first">
              {classes.slice(0, 500).map((one) => (
                <li key={one.at}>
                  <button
                    type="button"
                    aria-pressed={one.at === shown}
                    onClick={() => {
                      put({ class: one.at });
                    }}
                  >
                    <span>{one.label}</span>
                    <span class="in">{one.added === 0 ? "" : `+${countText(one.added)}`}</span>
                    <span class="out">{one.removed === 0 ? "" : `−${countText(one.removed)}`}</span>
                  </button>
                </li>
              ))}
            </ul>
            {shown === undefined ? null : (
              <ClassChanges
                key={`${before}-${after}-${shown}-${reason}`}
                pair={pair}
                index={shown}
                reason={reason}
                choose={(next) => {
                  put({ reason: next });
                }}
              />
            )}
          </div>
        </>
      )}
    </section>
  );
}

interface ChangesProps {
  readonly pair: { readonly dataset: string; readonly before: number; readonly after: number };
  readonly index: number;
  readonly reason: Reason | "";
  readonly choose: (reason: string) => void;
}

function ClassChanges({ pair, index, reason, choose }: ChangesProps) {
  const [{ from, limit }, setPage] = useState({ from: 0, limit: FEW });
  const found = useAnswer<ClassDiffRows>(withQuery("/api/diff/rows", { ...pair, class: index, reason, from, limit }));
  if (found.error !== null) return <Failed error={found.error} />;
  if (found.value === null) return <Loading label="Reading what changed" />;
  const { entered, left, moved } = found.value;
  const sides = [
    { title: "Entered", side: entered, kind: "in" },
    { title: "Left", side: left, kind: "out" },
    { title: "Moved", side: moved, kind: "moved" },
  ] as const;
  return (
    <div class="diff-columns">
      {sides.map(({ title, side, kind }) => (
        <section
          key={title}
          class={`diff-column ${kind === "in" ? "entered" : kind === "out" ? "gone" : ""}`}
          aria-label={`${title}: ${side.total}`}
        >
          <h2>
            {title} <span class={kind}>{countText(side.total)}</span>
          </h2>
          <div class="chips" role="group" aria-label="Reasons">
            {side.reasons.map((one) => (
              <button
                key={one.reason}
                type="button"
                class="chip"
                aria-pressed={reason === one.reason}
                onClick={() => {
                  choose(reason === one.reason ? "" : one.reason);
                }}
              >
                {REASONS[one.reason]} {countText(one.count)}
              </button>
            ))}
          </div>
          <ul class="changed">
            {side.rows.map((row) => (
              <Changed key={row.row.sha256} row={row} />
            ))}
          </ul>
          {side.shown === 0 ? <p class="fine">{side.total === 0 ? "None." : "None for this reason."}</p> : null}
          {from === 0 || side.shown === 0 ? null : (
            <button
              type="button"
              class="quiet"
              onClick={() => {
                setPage({ from: Math.max(0, from - MOST), limit: MOST });
              }}
            >
              Show those before
            </button>
          )}
          {from + side.rows.length >= side.shown ? null : (
            <button
              type="button"
              class="quiet"
              onClick={() => {
                setPage(limit < MOST ? { from, limit: Math.min(MOST, limit * 3) } : { from: from + MOST, limit });
              }}
            >
              Show more of {countText(side.shown)}
            </button>
          )}
        </section>
      ))}
    </div>
  );
}

function Changed({ row: { row, rankBefore, because } }: { readonly row: ChangedRow }) {
  const ranks =
    rankBefore === null || rankBefore === row.rank ? `rank ${row.rank}` : `rank ${rankBefore} → ${row.rank}`;
  return (
    <li>
      <a href={`/image/${row.sha256}`} title={`${ranks}, ${probabilityText(row.probability)}: ${because}`}>
        <Picture sha256={row.sha256} side={192} alt={`${ranks}: ${because}`} />
        <span class="because">
          <span>{ranks}</span>
          <span class="fine">{because}</span>
        </span>
      </a>
    </li>
  );
}
