import { useEffect, useState } from "preact/hooks";
import type { Overview } from "../../schemas/api/versions.ts";
import { followLinks, go, useAddress, type Address } from "./address.ts";
import { useAnswer } from "./answer.ts";
import { useLive, type Watched } from "./live.ts";
import { Commanded, commandsOf, type Command } from "./parts/commands.tsx";
import { Failed, Loading } from "./parts/states.tsx";
import { Palette } from "./parts/palette.tsx";
import { toast, useToast } from "./parts/toast.ts";
import { agoText, plural, rateText, windowText } from "./wording.ts";
import { ClassWall } from "./screens/class-wall.tsx";
import { Classes } from "./screens/classes.tsx";
import { DiffWall } from "./screens/diff-wall.tsx";
import { FlowScreen } from "./screens/flow.tsx";
import { ImageLifeScreen } from "./screens/image-life.tsx";
import { Models } from "./screens/models.tsx";
import { ReviewScreen } from "./screens/review.tsx";
import { VersionScreen } from "./screens/version.tsx";
import { VersionsScreen } from "./screens/versions.tsx";
import { WhatIf } from "./screens/what-if.tsx";

export interface ScreenProps {
  readonly address: Address;
  readonly overview: Overview;
  readonly watched: Watched;
  /** The dataset that is looked at */
  readonly dataset: Overview["datasets"][number];
}

const ICONS = {
  flow: "M3 6h6l3 6h9M3 18h6l3-6",
  classes: "M4 5h7v6H4zM13 5h7v6h-7zM4 13h7v6H4zM13 13h7v6h-7z",
  versions: "M5 4h14v4H5zM5 10h14v4H5zM5 16h14v4H5z",
  review: "M4 12l5 5L20 6",
  models: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM12 12l8-4.5M12 12v9M12 12L4 7.5",
  whatif: "M4 7h10M18 7h2M4 17h2M10 17h10M16 4v6M8 14v6",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4",
} as const;

const RAIL = [
  { path: "/flow", steps: ["flow"], text: "Flow", icon: "flow" },
  { path: "/classes", steps: ["", "classes", "class"], text: "Classes", icon: "classes" },
  { path: "/versions", steps: ["versions", "version", "diff"], text: "Versions", icon: "versions" },
  { path: "/review", steps: ["review"], text: "Review", icon: "review" },
  { path: "/models", steps: ["models"], text: "Models", icon: "models" },
  { path: "/whatif", steps: ["whatif"], text: "What if", icon: "whatif" },
  { path: "/image", steps: ["image"], text: "Image", icon: "image" },
] as const;

const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);

export function App() {
  const address = useAddress();
  const watched = useLive();
  const [isSearching, setSearching] = useState(false);
  const [command, setCommand] = useState<Command | null>(null);
  const overview = useAnswer<Overview>("/api/overview", watched.changes);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key.toLowerCase() !== "k" || (!event.metaKey && !event.ctrlKey)) return;
      event.preventDefault();
      setSearching((before) => !before);
    };
    document.addEventListener("keydown", onKey);
    document.addEventListener("click", followLinks);
    return () => {
      document.removeEventListener("keydown", onKey);
      document.removeEventListener("click", followLinks);
    };
  }, []);
  const first = address.steps[0] ?? "";
  const value = overview.value;
  const dataset =
    value?.datasets.find(({ name }) => name === (address.query["dataset"] ?? address.steps[1])) ?? value?.datasets[0];
  return (
    <div class="frame">
      <a class="skip" href="#main">
        Skip to what is shown
      </a>
      <nav class="rail" aria-label="Places">
        <a class="brand" href="/classes" aria-label="Sluice">
          <img src="/sluice.svg" alt="" width="24" height="24" />
        </a>
        {RAIL.map(({ path, steps, text, icon }) => (
          <a key={path} href={path} aria-current={(steps as readonly string[]).includes(first) ? "page" : undefined}>
            <svg viewBox="0 0 24 24" aria-hidden="true">
              <path d={ICONS[icon]} />
            </svg>
            <span>{text}</span>
          </a>
        ))}
      </nav>
      <header class="top">
        {value === null || dataset === undefined ? (
          <span class="fine">Sluice</span>
        ) : (
          <label class="dataset">
            <span class="fine">dataset</span>
            {value.datasets.length === 1 ? (
              <strong>{dataset.name}</strong>
            ) : (
              <select
                value={dataset.name}
                onChange={(event) => {
                  go(`/classes?dataset=${encodeURIComponent(event.currentTarget.value)}`);
                }}
              >
                {value.datasets.map(({ name }) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            )}
          </label>
        )}
        <Now watched={watched} overview={value} window={dataset?.window ?? null} />
        <button
          type="button"
          class="search"
          onClick={() => {
            setSearching(true);
          }}
        >
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <path d="M11 4a7 7 0 1 0 0 14a7 7 0 0 0 0-14zM16 16l5 5" />
          </svg>
          <span>Search</span>
          <kbd>{isMac ? "⌘K" : "Ctrl K"}</kbd>
        </button>
      </header>
      <main id="main" tabIndex={-1} class={!watched.isOpen && watched.heardMs !== null ? "old" : undefined}>
        {overview.error !== null && value === null ? (
          <Failed error={overview.error} />
        ) : value === null ? (
          <Loading />
        ) : dataset === undefined ? (
          <Nothing overview={value} />
        ) : (
          <Screen first={first} address={address} overview={value} watched={watched} dataset={dataset} />
        )}
      </main>
      <Said />
      {isSearching ? (
        <Palette
          commands={
            value === null || dataset === undefined ? [] : commandsOf({ overview: value, dataset, live: watched.live })
          }
          command={setCommand}
          close={() => {
            setSearching(false);
          }}
        />
      ) : null}
      {command === null || value === null || dataset === undefined ? null : (
        <Commanded
          command={command}
          overview={value}
          dataset={dataset}
          live={watched.live}
          close={() => {
            setCommand(null);
          }}
        />
      )}
    </div>
  );
}

function Screen({ first, ...props }: ScreenProps & { readonly first: string }) {
  switch (first) {
    case "":
    case "classes":
      return <Classes {...props} />;
    case "class":
      return <ClassWall key={`${props.dataset.name}/${props.address.steps[1] ?? ""}`} {...props} />;
    case "flow":
      return <FlowScreen {...props} />;
    case "versions":
      return <VersionsScreen {...props} />;
    case "version":
      return <VersionScreen {...props} />;
    case "diff":
      return <DiffWall {...props} />;
    case "review":
      return <ReviewScreen {...props} />;
    case "models":
      return <Models {...props} />;
    case "whatif":
      return <WhatIf {...props} />;
    case "image":
      return <ImageLifeScreen {...props} />;
    default:
      return (
        <div class="state">
          <h1>There is no such place</h1>
          <p>
            Nothing is at <code>/{props.address.steps.join("/")}</code>. <a href="/classes">Go to the classes</a>.
          </p>
        </div>
      );
  }
}

/** How long ago something was, second by second. */
function Ago({ sinceMs }: { readonly sinceMs: number }) {
  const [nowMs, set] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => {
      set(Date.now());
    }, 1000);
    return () => {
      clearInterval(timer);
    };
  }, []);
  return <span aria-live="off">{agoText(nowMs - sinceMs)}</span>;
}

interface NowProps {
  readonly watched: Watched;
  readonly overview: Overview | null;
  /** Of the dataset that is looked at; null where it is not declared any more */
  readonly window: Overview["datasets"][number]["window"];
}

/** One sentence on what goes on, waits, or is wrong. */
function Now({ watched, overview, window }: NowProps) {
  const { live, heardMs, isOpen, refused } = watched;
  if (!isOpen && heardMs !== null) {
    return (
      <p class="now wrong" role="status">
        {refused ?? "The server is away"}: this is how it was <Ago sinceMs={heardMs} /> ago.
      </p>
    );
  }
  if (live === null) return <p class="now" />;
  if (live.away !== null) {
    return (
      <p class="now wrong" role="status">
        {live.away}
      </p>
    );
  }
  if (live.control?.want === "pause") {
    return (
      <p class="now wrong" role="status">
        Paused by {live.control.by}
        {live.control.reason === null ? "" : `: ${live.control.reason}`}. <a href="/flow">Resume it</a>
      </p>
    );
  }
  const isRunning = live.run !== null && !live.run.ended && live.holder !== null;
  const flows = isRunning || (live.perSecond ?? 0) > 0;
  return (
    <p class="now">
      <span class={`dot${flows ? " flows" : ""}`} />
      {flows
        ? `${rateText(live.perSecond)}${live.waiting === null ? "" : ` · ${plural(live.waiting, "image")} waiting`}`
        : `${plural(live.archived, "record")} archived`}
      <span class="teacher">
        {overview?.teacher === null || overview === null ? "" : ` · teacher ${overview.teacher.name}`}
        {window === null ? "" : ` · window: ${windowText(window)}`}
        {heardMs === null ? (
          ""
        ) : (
          <>
            {" "}
            · as of <Ago sinceMs={heardMs} /> ago
          </>
        )}
      </span>
      {overview?.readOnly === true ? " · read-only" : ""}
    </p>
  );
}

function Said() {
  const shown = useToast();
  return (
    <div class="toasts" role="status" aria-live="polite">
      {shown === null ? null : (
        <div class={`toast ${shown.kind}`}>
          <span>{shown.text}</span>
          {shown.undo === undefined ? null : (
            <button type="button" onClick={shown.undo}>
              Undo <kbd>U</kbd>
            </button>
          )}
          <button
            type="button"
            class="quiet"
            aria-label="Close"
            onClick={() => {
              toast(null);
            }}
          >
            ×
          </button>
        </div>
      )}
    </div>
  );
}

function Nothing({ overview }: { readonly overview: Overview }) {
  return (
    <div class="state">
      <h1>Nothing is here yet</h1>
      <p>{overview.folder} has no dataset and no version. Score some images, and this page shows them as they come:</p>
      <code>sluice ingest photographs/ --teacher model.onnx</code>
    </div>
  );
}
