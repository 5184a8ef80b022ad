// The YAML documents of files.

import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';

export function readDocuments(files) {
  return files.flatMap((file) =>
    parseAllDocuments(readFileSync(file, 'utf8'), { merge: true, uniqueKeys: true }).flatMap((document) => {
      if (document.errors.length > 0) {
        throw new Error(`${file}: ${document.errors[0].message}`);
      }
      const value = document.toJS();
      return value === null ? [] : [value];
    }),
  );
}
