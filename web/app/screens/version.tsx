import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Manifest } from "../../../schemas/manifest.ts";
import type { Verified } from "../../../schemas/api/versions.ts";
import { useAnswer } from "../answer.ts";
import type { ScreenProps } from "../app.tsx";
import { call, CallError, classUrl, withQuery } from "../calls.ts";
import { versionBefore } from "../parts/earlier.ts";
import { Command, Failed, Loading } from "../parts/states.tsx";
import { bytesText, countText, plural, probabilityText, timeText } from "../wording.ts";

/** Starving classes that are listed; the classes' screen has all */
const LISTED = 12;

/** A version: what it was made by, whether it is as it was made, and how to take it away. */
export function VersionScreen({ address, overview }: ScreenProps) {
  const [, dataset = "", number = "latest"] = address.steps;
  const path = `/api/versions/${encodeURIComponent(dataset)}/${encodeURIComponent(number)}`;
  const found = useAnswer<Manifest>(path);
  if (found.error !== null) return <Failed error={found.error} />;
  if (found.value === null) return <Loading label="Reading the version" />;
  const versions = overview.datasets.find(({ name }) => name === dataset)?.versions ?? [];
  return <Shown key={found.value.id} manifest={found.value} path={path} versions={versions} />;
}

interface ShownProps {
  readonly manifest: Manifest;
  readonly path: string;
  /** Those of the dataset that are there */
  readonly versions: readonly number[];
}

function Shown({ manifest, path, versions }: ShownProps) {
  const { dataset, number, id, select, span, teacher, totals, provenance, files } = manifest;
  const { records } = totals;
  const starving = manifest.classes.filter((one) => one.starving).toSorted((a, b) => a.count - b.count);
  const name = `${dataset}/${number}`;
  const { parent } = provenance;
  // A parent that was deleted compares with nothing; the one before it may.
  const before = parent !== null && versions.includes(parent.number) ? parent.number : versionBefore(versions, number);
  const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  return (
    <section class="version">
      <header class="screen-head">
        <h1>
          <a href="/versions" class="up">
            Versions
          </a>
          <span>{name}</span>
        </h1>
        <p class="facts">
          <strong>{countText(totals.rows)}</strong> rows of {plural(totals.images, "image")}
          {provenance.incomplete ? <span class="badge">incomplete</span> : null}
        </p>
        <div class="tools">
          <a class="button" href={withQuery("/classes", { dataset, version: number })}>
            Its classes
          </a>
          {before === null ? null : (
            <a class="button" href={withQuery("/diff", { dataset, before, after: number })}>
              What changed
            </a>
          )}
        </div>
      </header>
      <div class="cards">
        <article class="card">
          <h2>Made by</h2>
          <dl class="facts-list">
            <dt>id</dt>
            <dd class="uri">{id}</dd>
            {Object.entries(select).map(([key, value]) => (
              <SelectLine key={key} name={key} value={value} />
            ))}
            <dt>window</dt>
            <dd>
              {span.startMs === null && span.endMs === null
                ? "all that came"
                : `${span.startMs === null ? "" : timeText(span.startMs)} to ${span.endMs === null ? "now" : timeText(span.endMs)}`}
            </dd>
            <dt>teacher</dt>
            <dd>
              {teacher.name} <code>{teacher.digest.slice(0, 12)}</code>, temperature {teacher.temperature}
            </dd>
            <dt>engine</dt>
            <dd>{provenance.engines.map((one) => `${one.name} ${one.version} on ${one.backend}`).join("; ")}</dd>
            <dt>created</dt>
            <dd>
              {timeText(Date.parse(provenance.createdAt))}, by {provenance.trigger}, code {provenance.codeVersion}
            </dd>
            <dt>parent</dt>
            <dd>
              {parent === null ? (
                "none"
              ) : versions.includes(parent.number) ? (
                <a href={`/version/${encodeURIComponent(dataset)}/${parent.number}`}>version {parent.number}</a>
              ) : (
                `version ${parent.number}, deleted since`
              )}
            </dd>
          </dl>
        </article>
        <article class="card">
          <h2>Adds up</h2>
          <p class="sum">
            <strong>{countText(records.in)}</strong> records in = <strong>{countText(records.scored)}</strong> scored +{" "}
            <strong>{countText(records.copied)}</strong> copied + <strong>{countText(records.quarantined)}</strong>{" "}
            quarantined + <strong>{countText(records.lost)}</strong> lost
          </p>
          <p class="fine">
            {plural(files.length, "file")}, {bytesText(sizeBytes)}
            {totals.bytesAbsent === 0 ? "" : `; ${plural(totals.bytesAbsent, "row")} without image bytes`}
          </p>
          <Verify path={path} name={name} />
          <h2>Starving</h2>
          {starving.length === 0 ? (
            <p class="fine">Every class has K.</p>
          ) : (
            <ul class="starving">
              {starving.slice(0, LISTED).map((one) => (
                <li key={one.class}>
                  <a href={withQuery(classUrl(one.label), { dataset })}>{one.label}</a>{" "}
                  {countText(one.count - one.repeated)} of {countText(one.k)}
                  <span class="fine"> down to {probabilityText(one.worst)}</span>
                </li>
              ))}
              {starving.length > LISTED ? <li class="fine">and {countText(starving.length - LISTED)} more</li> : null}
            </ul>
          )}
        </article>
        <article class="card">
          <h2>Take it away</h2>
          <p class="fine">All rows, as the index has them:</p>
          <p class="actions">
            {(["parquet", "arrow", "json"] as const).map((format) => (
              <a key={format} class="button" href={`${path}/rows?format=${format}`} download>
                {format}
              </a>
            ))}
          </p>
          <Command text={`curl -o rows.parquet '${window.location.origin}${path}/rows?format=parquet'`} />
          <h2>Make it again</h2>
          <p class="fine">From the archive alone; the ids are the same, or this says where they differ.</p>
          <Command text={`sluice reproduce ${name}`} />
          <Command text={`sluice versions verify ${name} --deep`} />
        </article>
      </div>
      <Scores manifest={manifest} path={path} />
    </section>
  );
}

interface ScoresProps {
  readonly manifest: Manifest;
  readonly path: string;
}

/** Its distributions. What draws them is as large as all else of the page together: this screen alone loads it. */
function Scores(props: ScoresProps) {
  const [drawn, set] = useState<{ readonly With: ComponentType<ScoresProps> } | null>(null);
  useEffect(() => {
    void import("../parts/distributions.tsx").then(({ Distributions }) => {
      set({ With: Distributions });
    });
  }, []);
  return drawn === null ? <Loading rows={4} label="Drawing the scores" /> : <drawn.With {...props} />;
}

function SelectLine({ name, value }: { readonly name: string; readonly value: unknown }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd>
    </>
  );
}

function Verify({ path, name }: { readonly path: string; readonly name: string }) {
  const [state, set] = useState<"idle" | "reading" | Verified | CallError>("idle");
  const verify = async (): Promise<void> => {
    set("reading");
    try {
      set(await call<Verified>(`${path}/verify`));
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      set(error);
    }
  };
  if (state instanceof CallError) return <Failed error={state} retry={() => void verify()} />;
  if (state === "idle" || state === "reading") {
    return (
      <p>
        <button type="button" disabled={state === "reading"} onClick={() => void verify()}>
          {state === "reading" ? "Reading it whole …" : "Verify"}
        </button>
        <span class="fine"> files, rows, order, id, images, records</span>
      </p>
    );
  }
  const { checked } = state;
  return (
    <div class={state.ok ? "verified" : "verified wrong"} role="status">
      <p>
        <strong>{state.ok ? `${name} is as it was made` : plural(state.findingCount, "finding")}</strong>
      </p>
      <p class="fine">
        {plural(checked.files, "file")}, {plural(checked.rows, "row")}, {plural(checked.images, "image")} read
      </p>
      <ul>
        {state.findings.slice(0, 10).map(({ message }) => (
          <li key={message}>{message}</li>
        ))}
      </ul>
    </div>
  );
}
