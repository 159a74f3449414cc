/** What a version can be written as for others. */
export const EXPORT_FORMATS = ["folder", "hf", "webdataset", "tfrecord", "csv"] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];
