// test_files.cpp: tensors in files: the same bits as in memory, and a named error where a file ends too early.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "batch.hpp"

using namespace fk;
using namespace fk::test;

namespace {

// Closed with the object; named in errors as memfd:<name>.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) { CHECK(descriptor >= 0, "cannot open a file"); }
  ~File() { close(descriptor_); }
  File(const File&) = delete;
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

// A batch whose buffers have all been moved to files, each behind `header` bytes of something else.
class OnDisk {
 public:
  OnDisk(Batch& batch, int64_t header) : call_(batch.call()), header_(header) {
    for (size_t i = 0; i < call_.buffers.size(); ++i) {
      Buffer& buffer = call_.buffers[i];
      files_.emplace_back(memfd_create(text("tensor", i).c_str(), 0));
      const std::string before(static_cast<size_t>(header), '#');
      Buffer moved{files_.back().descriptor()};
      moved.write(0, header, before.data());
      moved.write(header, buffer.size, buffer.address);
      buffer = {moved.file, nullptr, buffer.size};
    }
    for (Job& job : call_.jobs) {
      job.out.offset += header;
      if (job.base) job.base->offset += header;
      for (TensorRef& input : job.inputs) input.offset += header;
    }
  }

  std::string run() {  // the bytes of all results, in the order of the jobs
    const int64_t bytes = plan_workspace(call_).total();
    const std::unique_ptr<char[]> memory(new char[static_cast<size_t>(bytes + 4096)]);
    const auto start = (reinterpret_cast<uintptr_t>(memory.get()) + 4095) / 4096 * 4096;
    MergeRecord record;
    run_merge(call_, reinterpret_cast<char*>(start), record, {});
    std::string result;
    for (const Job& job : call_.jobs) {
      std::string part(static_cast<size_t>(job.bytes()), 0);
      call_.buffers[static_cast<size_t>(job.out.buffer)].read(job.out.offset, job.bytes(), part.data());
      result += part;
    }
    return result;
  }

  MergeCall& call() { return call_; }
  int64_t header() const { return header_; }

 private:
  MergeCall call_;
  std::deque<File> files_;
  int64_t header_;
};

// A method's merge of two tensors that succeeds, and what it gives.
std::string make_batch(Random& random, const Method& method, Shape shape, std::unique_ptr<Batch>& batch) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    const int count = random.pick(counts(method, 4));
    batch = std::make_unique<Batch>(method, draw_values(random, method, count));
    batch->call().allow_nonfinite = true;
    const std::vector<DType> dtypes{DType::bf16, DType::bf16, random.pick(kFloats)};
    const bool with_base = draw_base(random, method);
    batch->add_merge(random, dtypes, count, with_base, shape, Pattern::noise);
    batch->add_merge(random, dtypes, count, with_base, {5, 7}, Pattern::noise);
    const Outcome outcome = batch->run({.threads = 2});
    if (outcome.error.empty()) return outcome.bytes;
  }
  fail(__FILE__, __LINE__, "some parameters are accepted", method.info->name);
}

void check_method(Random& random, const Method& method) {
  for (const Shape shape : {Shape{1, 4097}, Shape{601, 1001}}) {  // the second is enough for threads
    std::unique_ptr<Batch> batch;
    const std::string expected = make_batch(random, method, shape, batch);
    for (const int64_t header : {0, 1, 4099}) {
      OnDisk files(*batch, header);
      const Job& first = files.call().jobs[0];
      CHECK(files.run() == expected, method.info->name, " from files behind ", header, " bytes");

      TensorRef cut = random.pick(first.inputs);
      if (first.base && random.one_in(3)) cut = *first.base;
      const int64_t size = header + shape.rows * shape.cols * size_of(cut.dtype);
      const Buffer& buffer = files.call().buffers[static_cast<size_t>(cut.buffer)];
      for (const int64_t left : {size - 1, header + 1, int64_t{0}}) {
        CHECK(ftruncate(buffer.file, left) == 0, "cannot truncate");
        const std::string about = text(method.info->name, ", a file of ", size, " bytes cut to ", left);
        const std::string error = error_of<IoError>(about, [&] { files.run(); });
        CHECK(contains(error, text("memfd:tensor", cut.buffer)) && contains(error, text("ends at byte ", left)), about,
              ": ", error);
      }
    }
  }
}

void check_refusals(Random& random, const Method& method) {
  std::unique_ptr<Batch> batch;
  make_batch(random, method, {601, 1001}, batch);
  const File full(open("/dev/full", O_WRONLY)), read_only(open("/dev/null", O_RDONLY));
  OnDisk files(*batch, 0);
  Buffer& out = files.call().buffers[static_cast<size_t>(files.call().jobs[0].out.buffer)];
  out.file = full.descriptor();
  CHECK(contains(error_of<IoError>("a full disk", [&] { files.run(); }), "cannot write /dev/full"), "a full disk");
  out.file = read_only.descriptor();
  CHECK(contains(error_of<IoError>("read-only", [&] { files.run(); }), "cannot write /dev/null"), "read-only");
  files.call().buffers[static_cast<size_t>(files.call().jobs[0].inputs[0].buffer)].file = 1 << 20;
  CHECK(contains(error_of<IoError>("closed", [&] { files.run(); }), "cannot"), "a descriptor that is not open");
}

}  // namespace

int main(int argc, char** argv) {
  for (const auto& [name, method] : registry()) {
    Random random(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1);
    check_method(random, method);
    check_refusals(random, method);
  }
}
