import { useEffect, useMemo, useState } from "preact/hooks";
import type { CurveAnswered, WhatifAnswered } from "../../../schemas/api/whatif.ts";
import { go } from "../address.ts";
import { useAnswer } from "../answer.ts";
import type { ScreenProps } from "../app.tsx";
import { withQuery } from "../calls.ts";
import { Chart } from "../parts/chart.tsx";
import { Command, Empty, Failed, Loading } from "../parts/states.tsx";
import { countText, plural, probabilityText, shareText, shellWord } from "../wording.ts";

/** How long a slider stands still before the archive is asked, ms: another P or floor ranks everything anew */
const STILL_MS = 250;

/** What versions would be under other parameters: sliders, with curves over K. */
export function WhatIf({ address, watched, dataset }: ScreenProps) {
  const { select } = dataset;
  const standing = select !== null && typeof select.k === "number" ? select.k : null;
  const setting = {
    k: address.query["k"] ?? (standing === null ? undefined : String(standing)),
    p: address.query["p"],
    floor: address.query["floor"],
    temperature: address.query["temperature"],
  };
  const [asked, setAsked] = useState(setting);
  const text = JSON.stringify(setting);
  useEffect(() => {
    const timer = setTimeout(() => {
      setAsked(JSON.parse(text) as typeof setting);
    }, STILL_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [text]);
  const base = `/api/datasets/${encodeURIComponent(dataset.name)}`;
  const others = { p: asked.p, floor: asked.floor, temperature: asked.temperature };
  const curve = useAnswer<CurveAnswered>(select === null ? null : withQuery(`${base}/curve`, others), watched.changes);
  const found = curve.value?.curve ?? null;
  const whatif = useAnswer<WhatifAnswered>(
    select === null || asked.k === undefined ? null : withQuery(`${base}/whatif`, asked),
    watched.changes,
  );
  const answer = whatif.value?.answer ?? null;
  const put = (next: Record<string, string | undefined>): void => {
    go(withQuery("/whatif", { dataset: dataset.name, ...setting, ...next }), { replace: true });
  };
  const x = useMemo(() => found?.points.map(({ k }) => Number(k)) ?? [], [found]);
  const panels = useMemo(
    () =>
      found === null
        ? []
        : [
            {
              title: "Rows and images",
              format: compact,
              lines: [
                { name: "rows", values: found.points.map(({ rows }) => rows), colour: "--accent" },
                { name: "images", values: found.points.map(({ images }) => images), colour: "--second" },
              ],
            },
            {
              title: "Full classes",
              format: String,
              lines: [{ name: "full", values: found.points.map(({ full }) => full), colour: "--accent" }],
            },
            {
              title: "Cut-off: lowest and median",
              format: (value: number) => value.toFixed(2),
              lines: [
                {
                  name: "lowest",
                  values: found.points.map(({ cutoff }) => cutoff?.lowest ?? null),
                  colour: "--accent",
                },
                {
                  name: "median",
                  values: found.points.map(({ cutoff }) => cutoff?.median ?? null),
                  colour: "--second",
                },
              ],
            },
            {
              title: "Overlap with the newest version",
              format: (value: number) => `${Math.round(100 * value)} %`,
              lines: [{ name: "overlap", values: found.points.map(({ overlap }) => overlap), colour: "--accent" }],
            },
          ],
    [found],
  );
  if (select === null) {
    return (
      <Empty title={`${dataset.name} is not declared any more`}>
        <p>Its versions stay. What-if asks of what is declared.</p>
      </Empty>
    );
  }
  const k = Number(setting.k ?? x.at(-1) ?? 1);
  const most = Math.max(found?.exactTo ?? 0, x.at(-1) ?? 0, standing ?? 0, k, 1);
  const changes = [
    setting.k === undefined || Number(setting.k) === standing ? null : `k=${setting.k}`,
    setting.p === undefined ? null : `p=${setting.p}`,
    setting.floor === undefined ? null : `floor=${setting.floor}`,
    setting.temperature === undefined ? null : `temperature=${setting.temperature}`,
  ].filter((one) => one !== null);
  const pending = whatif.value?.pending ?? curve.value?.pending ?? null;
  return (
    <section class="what-if">
      <header class="screen-head">
        <h1>What if</h1>
        <p class="facts fine">
          {pending === null ? (answer?.why ?? "") : `${pending.what}: ${countText(pending.done)} segments read`}
        </p>
      </header>
      <div class="what-if-body">
        <form
          class="card sliders"
          onSubmit={(event) => {
            event.preventDefault();
          }}
        >
          <label>
            <span>
              K <span class="fine">images a class</span>
            </span>
            <input
              type="range"
              aria-label="K"
              min={1}
              max={most}
              value={k}
              onInput={(event) => {
                put({ k: event.currentTarget.value });
              }}
            />
            <input
              type="number"
              aria-label="K, exactly"
              min={1}
              value={k}
              onChange={(event) => {
                put({ k: event.currentTarget.value });
              }}
            />
          </label>
          <label>
            <span>
              P <span class="fine">classes that an image stands for</span>
            </span>
            <input
              type="range"
              aria-label="P"
              min={1}
              max={Math.min(10, answer?.classes ?? 10)}
              value={setting.p ?? select.p}
              onInput={(event) => {
                put({ p: event.currentTarget.value });
              }}
            />
            <output>{setting.p ?? select.p}</output>
          </label>
          <label>
            <span>
              Floor <span class="fine">least probability</span>
            </span>
            <input
              type="range"
              aria-label="Floor"
              min={0}
              max={0.99}
              step={0.01}
              value={setting.floor ?? select.floor}
              onInput={(event) => {
                put({ floor: event.currentTarget.value });
              }}
            />
            <output>{Number(setting.floor ?? select.floor).toFixed(2)}</output>
          </label>
          <label>
            <span>
              Temperature <span class="fine">divides the logits</span>
            </span>
            <input
              type="range"
              aria-label="Temperature"
              min={0.25}
              max={4}
              step={0.05}
              value={setting.temperature ?? select.temperature ?? found?.temperature ?? 1}
              onInput={(event) => {
                put({ temperature: event.currentTarget.value });
              }}
            />
            <output>{Number(setting.temperature ?? select.temperature ?? found?.temperature ?? 1).toFixed(2)}</output>
          </label>
          <p>
            <button
              type="button"
              disabled={changes.length === 0}
              onClick={() => {
                go(withQuery("/whatif", { dataset: dataset.name }));
              }}
            >
              As declared
            </button>
          </p>
          {changes.length === 0 ? null : (
            <>
              <p class="fine">To have it so from the next version on:</p>
              <Command text={`sluice datasets set ${shellWord(dataset.name)} ${changes.join(" ")}`} />
              <p class="fine">Its rows, without making a version:</p>
              <p class="actions">
                {(["parquet", "arrow", "json"] as const).map((format) => (
                  <a
                    key={format}
                    class="button"
                    download
                    href={withQuery(`${base}/whatif/rows`, { ...setting, format })}
                  >
                    {format}
                  </a>
                ))}
              </p>
            </>
          )}
        </form>
        <div class="outcome">
          {whatif.error !== null ? <Failed error={whatif.error} /> : null}
          {whatif.value?.refused == null ? null : (
            <div class="state failed" role="alert">
              <h2>This cannot be answered exactly</h2>
              <p>{whatif.value.refused}</p>
            </div>
          )}
          {answer === null ? null : (
            <dl class="figures large-figures">
              <div>
                <dt>rows</dt>
                <dd>{countText(answer.rows)}</dd>
              </div>
              <div>
                <dt>images</dt>
                <dd>{answer.images === null ? "–" : countText(answer.images)}</dd>
              </div>
              <div>
                <dt>full classes</dt>
                <dd>
                  {countText(answer.full)} <span class="fine">of {countText(answer.classes)}</span>
                </dd>
              </div>
              <div>
                <dt>cut-off, lowest</dt>
                <dd>{probabilityText(answer.cutoff?.lowest)}</dd>
              </div>
              <div>
                <dt>median</dt>
                <dd>{probabilityText(answer.cutoff?.median)}</dd>
              </div>
              <div>
                <dt>overlap{answer.newest === null ? "" : ` with version ${answer.newest.number}`}</dt>
                <dd>{shareText(answer.overlap)}</dd>
              </div>
            </dl>
          )}
          {answer === null || answer.starving.length === 0 ? null : (
            <p class="fine">
              {plural(answer.starving.length, "class", "classes")} starve:{" "}
              {answer.starving
                .slice(0, 8)
                .map(({ label, rows }) => `${label} ${countText(rows)}`)
                .join(", ")}
              {answer.starving.length > 8 ? " …" : ""}
            </p>
          )}
          {found === null ? (
            curve.error === null && curve.value?.refused == null ? (
              <Loading rows={6} label="Ranking the archive" />
            ) : null
          ) : (
            <div class="panels">
              {panels.map(({ title, lines, format }) => (
                <article key={title} class="card">
                  <h2>{title}</h2>
                  <Chart
                    x={x}
                    lines={lines}
                    height={150}
                    mark={Math.min(k, x.at(-1) ?? k)}
                    format={format}
                    label={`${title} over K`}
                  />
                </article>
              ))}
            </div>
          )}
        </div>
      </div>
    </section>
  );
}

function compact(value: number): string {
  return value >= 1e6
    ? `${Number((value / 1e6).toPrecision(3))} M`
    : value >= 1e4
      ? `${Number((value / 1e3).toPrecision(3))} k`
      : countText(value);
}
