"""What Spark reads, as one DataFrame of text: files, tables of a catalog or of a database, each with its own columns.

Nothing here changes a setting of a site's Spark; a session of this machine's own stays on this machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calcitrace.errors import SourceError, UsageError
from calcitrace.sources import CHOICES, Tally, choose_columns
from calcitrace.sources.columns import Columns
from calcitrace.sources.reading import SAMPLE

DataFrame = Any  # pyspark.sql.DataFrame; PySpark brings no types that strict checking takes
INSTALL = 'the Spark engine needs PySpark 4 and Java 17 or 21: pip install "calcitrace[spark]"'
JAVA = (17, 21)
LOCAL = "local[*,4]"  # as many threads as there are cores; a task whose worker dies is tried four times
QUIET = {"spark.log.level": "ERROR", "spark.ui.showConsoleProgress": "false"}
LOOPBACK = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
SITE = ("PYSPARK_GATEWAY_PORT", "PYSPARK_SUBMIT_ARGS", "SPARK_HOME", "SPARK_CONF_DIR")  # set where Spark is the site's
KINDS = {
    **dict.fromkeys(("parquet", "pq"), "parquet"),
    **dict.fromkeys(("csv", "tsv", "tab"), "csv"),
    **dict.fromkeys(("json", "jsonl", "ndjson"), "json"),
    **{kind: kind for kind in ("orc", "avro")},
}
READING = {  # as calcitrace reads these formats itself
    "csv": {"header": "true", "multiLine": "true", "escape": '"'},
    "json": {"primitivesAsString": "true"},
    "parquet": {"mergeSchema": "true"},
    "orc": {"mergeSchema": "true"},
    "jdbc": {"fetchsize": "1000"},
}
PACKED = (".gz", ".bz2", ".zst", ".snappy")
TABLES = ("table", "jdbc")
MAX_FILES = 1000
NESTED = ("array", "map", "struct", "variant")
PLACE = ("_input", "_file", "_block", "_row")
_SECRET = re.compile(r"(?i)([\w.-]*(?:password|passwd|pwd|secret|token|access[.]?key)[\w.-]*=)[^&;\s]+")
_LOGIN = re.compile(r"(?i)^(jdbc:\w+:)[^@]*@")


@dataclass(frozen=True, slots=True)
class Reader:
    """How Spark is to read: the format where the names of the inputs do not tell it, and options of its reader."""

    format: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """One input as Spark reads it: as given (without a password), its format, columns, what they lack, rows of text."""

    name: str
    kind: str
    columns: Columns
    lacking: str
    rows: DataFrame


def without_secrets(text: str) -> str:
    """A word of a command line without the passwords in it."""
    return _SECRET.sub(r"\1***", _LOGIN.sub(r"\1***@", text))


def settings_of(said: Sequence[str]) -> dict[str, str]:
    """Options as they are given, KEY=VALUE; a value env:NAME is taken from the environment.

    Raises:
        UsageError: one is of another form, or the environment has no such variable.
    """
    found = {}
    for word in said:
        key, sign, value = word.partition("=")
        if not (key and sign):
            raise UsageError(f"--spark-option {without_secrets(word)!r} is not of the form KEY=VALUE")
        found[key] = value
    return found


def _from_environment(options: Mapping[str, str]) -> dict[str, str]:
    found = dict(options)
    for key, value in options.items():
        if value.startswith("env:"):
            name = value.removeprefix("env:")
            if name not in os.environ:
                raise UsageError(f"--spark-option {key}=env:{name}: there is no environment variable {name}")
            found[key] = os.environ[name]
    return found


@contextmanager
def session(master: str = "", settings: Mapping[str, str] | None = None) -> Iterator[Any]:
    """A context that gives the Spark session: the one at work in this process, or a new one that ends with it.

    Args:
        master: as `spark-submit --master`; by default what the site's configuration says, else this machine alone.
        settings: of a new session (`spark.*`).

    Raises:
        UsageError: PySpark or Java is missing or too old, or Spark does not start.
    """
    _check_pyspark()
    from pyspark.sql import SparkSession

    found = SparkSession.getActiveSession()
    spark = found or _begun(master, _from_environment(settings or {}))
    try:
        yield spark
    finally:
        if found is None:
            spark.stop()


def _begun(master: str, settings: Mapping[str, str]) -> Any:
    """A new session; one on this machine listens on the loopback address alone, and has no page."""
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        check_java()
    master = master or settings.get("spark.master", "") or ("" if any(n in os.environ for n in SITE) else LOCAL)
    own = QUIET
    if master.startswith("local"):
        own = QUIET | LOOPBACK
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.appName("calcitrace")
    for key, value in {**own, **settings, **({"spark.master": master} if master else {})}.items():
        builder = builder.config(key, value)
    try:
        return builder.getOrCreate()
    except Exception as error:
        kind = (error.getCondition() if isinstance(error, PySparkException) else "") or type(error).__name__
        raise UsageError(f"Spark does not start ({kind}); what it says of it stands above") from None


def _check_pyspark() -> None:
    try:
        import pyspark
    except ImportError:
        raise UsageError(INSTALL) from None
    if int(pyspark.__version__.split(".")[0]) < 4:
        raise UsageError(f"{INSTALL}; here is PySpark {pyspark.__version__}")


def check_java() -> None:
    """Whether there is a Java that PySpark 4 runs on.

    Raises:
        UsageError: there is none, or it is too old.
    """
    home = os.environ.get("JAVA_HOME", "")
    java = shutil.which(str(Path(home, "bin", "java")) if home else "java")
    if not java:
        where = f"JAVA_HOME ({home}) holds none" if home else "there is none on the PATH, and JAVA_HOME is not set"
        raise UsageError(f"the Spark engine needs Java {JAVA[0]} or {JAVA[1]}; {where}")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(?:1\.)?(\d+)', said.stderr)
    if found and int(found[1]) < JAVA[0]:
        raise UsageError(f"the Spark engine needs Java {JAVA[0]} or {JAVA[1]}; here is Java {found[1]} ({java})")


def read(spark: Any, inputs: Sequence[str], reader: Reader, asked: Mapping[str, str]) -> list[Source]:
    """The inputs as Spark reads them, in order; each CSV file is one, since each has a header of its own.

    Args:
        spark: the session.
        inputs: files and folders of any file system that Spark knows, tables of its catalog, `jdbc:` URLs.
        reader: format and options.
        asked: the column of each field, where its name is not recognised.

    Raises:
        SourceError: Spark cannot read an input, or it lacks the column of report text or of report ids.
        UsageError: an option that makes no sense.
    """
    if not inputs:
        raise SourceError("no input was given")
    options = {k: v for k, v in _from_environment(reader.options).items() if not k.startswith("spark.")}
    if options.get("mode", "").upper() == "FAILFAST":
        raise UsageError("mode=FAILFAST would write the text of a broken row to Spark's log; leave it out")
    return [source for given in inputs for source in _sources(spark, given, reader.format, options, asked)]


def _sources(
    spark: Any, given: str, asked_kind: str, options: Mapping[str, str], asked: Mapping[str, str]
) -> Iterator[Source]:
    name, kind = without_secrets(given), asked_kind or kind_of(spark, given)
    if kind == "jdbc":
        name = f"{name} {_asked_of(options)}"
    with told(name):
        frame = _loaded(spark, given, kind, options)
        files = frame.inputFiles() if kind == "csv" else []
    if len(files) > MAX_FILES:
        raise UsageError(f"{name}: {len(files):,} CSV files are too many for Spark; write them as Parquet first")
    for file in files if len(files) > 1 else [given]:
        with told(name):
            rows = frame if file == given else _loaded(spark, file, kind, options)
        columns = _columns(name if file == given else path_of(file), rows, asked)
        text = as_text(rows, columns, name)
        with told(name):
            lacking = _lacking(rows, columns)
        yield Source(name, kind, columns, lacking, text)


def _lacking(rows: DataFrame, columns: Columns) -> str:
    """What the columns lack, and which others hold report text by their first rows."""
    tally = Tally()
    others = tally.choose("", columns)
    texts = [n for n, f in enumerate(rows.schema) if f.name in others.names and f.dataType.typeName() == "string"]
    if texts:
        numbered = rows.toDF(*(f"c{n}" for n in range(len(rows.columns))))
        for cells in numbered.select(*(f"c{n}" for n in texts)).limit(SAMPLE).collect():
            others.look([rows.columns[n] for n in texts], cells)
    return tally.lacking[""]


def path_of(file: str) -> str:
    """The path that the address of a file means, with its file system where that is not the machine's own."""
    bare = re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes.fromhex(m[1].decode()), file.encode())
    return bare.decode("utf-8", "replace").removeprefix("file://")


def kind_of(spark: Any, given: str) -> str:
    """The format of an input: by a JDBC URL, by the ending of a file or of one in a folder, or a table by its name."""
    if given.lower().startswith("jdbc:"):
        return "jdbc"
    folder = Path(given)
    inside = {_by_ending(p.name) for p in folder.rglob("*") if p.name[0] not in "._"} if folder.is_dir() else set()
    kinds = {_by_ending(given)} - {""} or inside - {""}
    if len(kinds) > 1:
        raise SourceError(
            f"{given}: the folder holds {', '.join(sorted(kinds))}; give Spark the files of each by itself"
        )
    if kinds or folder.is_dir():
        return kinds.pop() if kinds else "parquet"
    if "/" in given and "." not in given.rpartition("/")[2]:
        return "parquet"
    with told(given):
        if "/" not in given and spark.catalog.tableExists(given):
            return "table"
    raise SourceError(f"{given}: no known ending, and no table of Spark's catalog; --spark-format names other formats")


def _by_ending(name: str) -> str:
    bare = next((name.removesuffix(p) for p in PACKED if name.endswith(p)), name)
    return KINDS.get(bare.rpartition(".")[2].lower(), "") if "." in bare else ""


def _loaded(spark: Any, given: str, kind: str, options: Mapping[str, str]) -> DataFrame:
    tabs = {"sep": "\t"} if kind == "csv" and re.search(r"\.(?:tsv|tab)(?:\.\w+)?$", given.lower()) else {}
    reader = spark.read.options(**{**READING.get(kind, {}), **tabs, **options})
    if kind == "table":
        return reader.table(given)
    return reader.format(kind).options(url=given).load() if kind == "jdbc" else reader.format(kind).load(given)


def _asked_of(options: Mapping[str, str]) -> str:
    """The table or the query that is asked for of a database."""
    found = options.get("dbtable") or options.get("query")
    if not found:
        raise UsageError("of a database, name what to read: --spark-option dbtable=NAME, or query='select ...'")
    return found


@contextmanager
def told(name: str) -> Iterator[None]:
    """A context in which what Spark cannot do with an input becomes an error that names it, and none of its content.

    Raises:
        SourceError: Spark could not.
    """
    try:
        yield
    except (UsageError, SourceError):
        raise
    except Exception as error:
        raise SourceError(f"{name}: Spark cannot read it ({why(error)})") from None


def why(error: BaseException) -> str:
    """What kind of error Spark met; its message may hold what was read, and is left out."""
    condition = getattr(error, "getCondition", lambda: None)()
    java = getattr(error, "java_exception", None)
    if not condition and java is not None:
        while java.getCause() is not None:
            java = java.getCause()
        condition = java.getClass().getName()
        if "No suitable driver" in str(java.getMessage()):
            condition += "; name the database's driver: --spark-option spark.jars=DRIVER.jar"
    return condition or type(error).__name__


def _columns(name: str, rows: DataFrame, asked: Mapping[str, str]) -> Columns:
    try:
        columns = choose_columns(rows.columns, asked)
    except SourceError as error:
        split = "; it has only 1 column: --spark-option sep=DELIMITER splits it" if len(rows.columns) == 1 else ""
        raise SourceError(f"{name}: {error}{split}") from None
    if "report_id" not in columns.chosen:
        raise SourceError(f"{name}: no column of report ids, and Spark's rows have no number; name it with --id-column")
    return columns


def as_text(rows: DataFrame, columns: Columns, name: str = "the DataFrame") -> DataFrame:
    """The chosen columns by field, as text as calcitrace has it, empty where there is nothing.

    Raises:
        SourceError: a column holds lists or structures.
    """
    from pyspark.sql import functions as F

    numbered = rows.toDF(*(f"c{n}" for n in range(len(rows.columns))))  # names may differ by case alone, or hold dots
    found = []
    for chosen, place in columns.places(rows.columns).items():
        kind = rows.schema[place].dataType.typeName()
        if kind in NESTED:
            raise SourceError(f"{name}: column {rows.columns[place]!r} for {chosen} holds no single values ({kind})")
        found.append(F.coalesce(_plain(numbered[f"c{place}"], kind), F.lit("")).alias(chosen))
    return numbered.select(*found)


def _plain(column: Any, kind: str) -> Any:
    """A column as `calcitrace.sources.columns.text_of` writes its values, NULL for NaN."""
    from pyspark.sql import functions as F

    text = F.make_valid_utf8(column.cast("string"))
    if kind in ("double", "float"):
        whole = column.try_cast("bigint")
        return F.when(~F.isnan(column), F.when(whole == column, whole.cast("string")).otherwise(text))
    if kind in ("timestamp", "timestamp_ntz"):
        return F.regexp_replace(F.regexp_replace(text, " ", "T"), "T00:00:00$", "")
    return text


def joined(sources: Sequence[Source]) -> DataFrame:
    """The rows of all sources in one DataFrame, with their place (`PLACE`): input, file, block of the file, row."""
    from functools import reduce

    from pyspark.sql import functions as F

    def placed(number: int, source: Source) -> DataFrame:
        lacking = [F.lit(None).cast("string").alias(f) for f in CHOICES if f not in source.columns.chosen]
        own = [c for c in CHOICES if c in source.columns.chosen]
        in_files = source.kind not in TABLES  # a view of a catalog may join several, of which Spark tells no file
        file = (F.input_file_name(), F.input_file_block_start()) if in_files else (F.lit(""), F.lit(0).cast("bigint"))
        place = (F.lit(number), *file, F.monotonically_increasing_id())
        named = [value.alias(name) for value, name in zip(place, PLACE, strict=True)]
        return source.rows.select(*own, *lacking, *named).select(*CHOICES, *PLACE)

    return reduce(lambda a, b: a.unionAll(b), (placed(n, s) for n, s in enumerate(sources)))
