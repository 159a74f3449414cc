import { INDEX_COLUMNS } from "../../schemas/index-row.js";
import type { ManifestFile } from "../../schemas/manifest.js";
import { selectionWords } from "../select/selection-words.js";
import type { Described } from "./version-readme.js";

const CONTEXT = {
  "@language": "en",
  "@vocab": "https://schema.org/",
  arrayShape: "cr:arrayShape",
  citeAs: "cr:citeAs",
  column: "cr:column",
  containedIn: "cr:containedIn",
  conformsTo: "dct:conformsTo",
  cr: "http://mlcommons.org/croissant/",
  rai: "http://mlcommons.org/croissant/RAI/",
  data: { "@id": "cr:data", "@type": "@json" },
  dataType: { "@id": "cr:dataType", "@type": "@vocab" },
  dct: "http://purl.org/dc/terms/",
  equivalentProperty: "cr:equivalentProperty",
  examples: { "@id": "cr:examples", "@type": "@json" },
  extract: "cr:extract",
  field: "cr:field",
  fileProperty: "cr:fileProperty",
  fileObject: "cr:fileObject",
  fileSet: "cr:fileSet",
  format: "cr:format",
  includes: "cr:includes",
  isArray: "cr:isArray",
  isLiveDataset: "cr:isLiveDataset",
  jsonPath: "cr:jsonPath",
  key: "cr:key",
  md5: "cr:md5",
  parentField: "cr:parentField",
  path: "cr:path",
  recordSet: "cr:recordSet",
  references: "cr:references",
  regex: "cr:regex",
  repeated: "cr:repeated",
  replace: "cr:replace",
  samplingRate: "cr:samplingRate",
  sc: "https://schema.org/",
  separator: "cr:separator",
  source: "cr:source",
  subField: "cr:subField",
  transform: "cr:transform",
};

const DATA_TYPES = {
  INT32: "sc:Integer",
  INT64: "sc:Integer",
  DOUBLE: "sc:Float",
  STRING: "sc:Text",
  TIMESTAMP: "sc:DateTime",
} as const;

const ABOUT: Record<(typeof INDEX_COLUMNS)[number]["name"], string> = {
  class: "Index of the class among the version's classes",
  label: "The class's label",
  rank: "Rank within the class, from 1",
  sha256: "SHA-256 of the image's bytes, hexadecimal",
  key: "What the rank goes by: the log-probability of the class, unless the selection says otherwise",
  probability: "The teacher's probability of the class",
  uri: "Where the image was found",
  partition: "Partition of the stream that brought the image",
  offset: "Offset in that partition",
  event_time: "When the image came to be, UTC",
  size_bytes: "Length of the encoded image",
  width: "Pixels",
  height: "Pixels",
  licence: "Licence as the source says, if it does",
  origin: "Origin as the source says, if it does",
  notes: "What was done so that the teacher could see the image, as codes joined by commas; null for nothing",
  bytes: "shard: the image is in a shard of this version; absent: nothing kept it",
  shard: "Name of the shard, null where the image is absent",
  repeat: "How often the class has this image at better ranks already: 0, or more where a scarce class is repeated",
  by: "label: somebody said that the image is of the class, and key and probability are null where the teacher did not archive it there; else teacher",
};

/**
 * A version as MLCommons Croissant 1.1 metadata: index files with their digests, the index as a record set, the shards as
 * a file set. Paths are relative to the metadata's own folder, `folder`. Without a time, as the README.
 * Source: http://mlcommons.org/croissant/1.1
 */
export function croissant(version: Described, folder: string, files: readonly ManifestFile[]): string {
  const path = (file: ManifestFile): string => file.key.slice(folder.length);
  const parquet = files.filter((file) => file.key.endsWith(".parquet"));
  const document = {
    "@context": CONTEXT,
    "@type": "sc:Dataset",
    conformsTo: "http://mlcommons.org/croissant/1.1",
    name: version.dataset,
    description:
      selectionWords(
        version.select,
        version.classes.map(({ k }) => k),
        `"${version.teacher.name}"`,
      ) + " Labels are the teacher's guesses.",
    identifier: `sha256:${version.id}`,
    version: `1.0.0+${version.id.slice(0, 12)}`,
    citeAs:
      "Yalniz, Jégou, Chen, Paluri, Mahajan: Billion-scale semi-supervised learning for image classification. arXiv 1905.00546, 2019.",
    distribution: [
      ...parquet.map((file) => ({
        "@type": "cr:FileObject",
        "@id": path(file),
        name: path(file),
        contentUrl: path(file),
        contentSize: `${file.sizeBytes} B`,
        encodingFormat: "application/x-parquet",
        sha256: file.sha256,
      })),
      {
        "@type": "cr:FileSet",
        "@id": "index",
        name: "index",
        description: "One row per (class, image), ordered by class and rank",
        encodingFormat: "application/x-parquet",
        includes: "index/*.parquet",
      },
      {
        "@type": "cr:FileSet",
        "@id": "shards",
        name: "shards",
        description:
          "WebDataset shards: .jpg (an image of any format), .cls and .json of each sample; digests are in the version's manifest",
        encodingFormat: "application/x-tar",
        includes: "shards/*.tar",
      },
    ],
    recordSet: [
      {
        "@type": "cr:RecordSet",
        "@id": "rows",
        name: "rows",
        key: [{ "@id": "rows/class" }, { "@id": "rows/rank" }],
        field: INDEX_COLUMNS.map(({ name, type }) => ({
          "@type": "cr:Field",
          "@id": `rows/${name}`,
          name,
          description: ABOUT[name],
          dataType: DATA_TYPES[type],
          source: { fileSet: { "@id": "index" }, extract: { column: name } },
        })),
      },
    ],
  };
  return JSON.stringify(document, null, 2) + "\n";
}
