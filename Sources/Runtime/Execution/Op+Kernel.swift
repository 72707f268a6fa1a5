// Unsafe: fills argument blocks with addresses. Nothing is read or written through them here, so a compiler
// may pass addresses that stand for places it has yet to assign.

import DuetKernels

/// Takes one kernel and its argument block. The block is valid during the call only.
package typealias KernelSink = (duet_kernel, UnsafeMutablePointer<duet_call>, _ byteCount: Int) ->
  Void

extension Op {
  /// Hands the kernels that compute this operation to `sink`, in order.
  ///
  /// The same function serves the eager path, which runs them at once, and the compiler, which writes them
  /// into a plan. `output` is contiguous and holds the result type's shape; inputs are contiguous where
  /// `takesStridedInputs` is false. Views (see `view(of:)`) are copied into `output` if asked for.
  package func kernels(
    output: TensorView, inputs: UnsafeBufferPointer<TensorView>, _ sink: @escaping KernelSink
  ) {
    withUnsafeTemporaryAllocation(of: duet_call.self, capacity: 1) { buffer in
      let encoder = KernelEncoder(call: buffer.baseAddress!, sink: sink)
      encoder.encode(self, output, inputs)
    }
  }
}

struct KernelEncoder {
  let call: UnsafeMutablePointer<duet_call>
  let sink: KernelSink

  func encode(_ op: Op, _ output: TensorView, _ inputs: UnsafeBufferPointer<TensorView>) {
    switch op {
    case .unary(let op):
      elementwise(
        duet_unary_loop(duet_unary(rawValue: op.rawValue), inputs[0].code), output, inputs)
    case .binary(let op):
      elementwise(
        duet_binary_loop(duet_binary(rawValue: op.kernel), inputs[0].code), output, inputs)
    case .compare(let op):
      elementwise(
        duet_comparison_loop(duet_comparison(rawValue: op.rawValue), inputs[0].code), output, inputs
      )
    case .select:
      elementwise(duet_select_loop(output.code), output, inputs)
    case .cast:
      elementwise(duet_cast_loop(inputs[0].code, output.code), output, inputs)
    case .fill(let type, let element):
      fill(output, count: type.shape.elementCount, element)
    case .iota(let dtype, let count, let start, let step):
      var block = duet_iota_call()
      block.dtype = dtype.code
      block.count = Int64(count)
      (block.start, block.step) = (start, step)
      (block.integer_start, block.integer_step) = (start.tensorInteger, step.tensorInteger)
      emit(duet_iota, block, output)
    case .reduce(let op, let axes, _):
      reduce(op, axes, output, inputs[0])
    case .softmax(let axis):
      softmax(duet_softmax, axis, output, inputs)
    case .logSoftmax(let axis):
      softmax(duet_log_softmax, axis, output, inputs)
    case .softmaxGradient(let axis):
      softmax(duet_softmax_gradient, axis, output, inputs)
    case .logSoftmaxGradient(let axis):
      softmax(duet_log_softmax_gradient, axis, output, inputs)
    case .cumulative(let op, let axis):
      var block = duet_cumulative_call()
      block.dtype = output.code
      (block.outer, block.axis, block.inner) = output.shape.split(at: axis)
      block.operation = duet_running(rawValue: op.rawValue)
      emit(duet_cumulative, block, output, inputs[0].pointer)
    case .argSort(let axis, let descending):
      var block = duet_sort_call()
      block.dtype = inputs[0].code
      (block.outer, block.axis, block.inner) = output.shape.split(at: axis)
      block.count = block.axis
      block.descending = descending ? 1 : 0
      emit(duet_arg_sort, block, output, inputs[0].pointer)
    case .argTopK(let axis, let count):
      var block = duet_sort_call()
      block.dtype = inputs[0].code
      (block.outer, block.axis, block.inner) = inputs[0].shape.split(at: axis)
      block.count = Int64(count)
      block.descending = 1
      emit(duet_arg_sort, block, output, inputs[0].pointer)
    case .rowNorm(let norm): rowNorm(duet_row_norm_forward, norm, output, inputs)
    case .rowNormInputGradient(let norm):
      rowNorm(duet_row_norm_input_gradient, norm, output, inputs)
    case .rowNormParameterGradient(let norm):
      rowNorm(duet_row_norm_parameter_gradient, norm, output, inputs)
    case .channelMoments: channelNorm(duet_channel_moments, eps: 0, output, inputs)
    case .channelNorm(let norm):
      channelNorm(duet_channel_norm_forward, eps: norm.eps, output, inputs)
    case .channelNormParameterGradient(let norm):
      channelNorm(duet_channel_norm_parameter_gradient, eps: norm.eps, output, inputs)
    case .channelNormInputGradient(let eps):
      channelNorm(duet_channel_norm_input_gradient, eps: eps, output, inputs)
    case .crossEntropy(let loss): crossEntropy(duet_cross_entropy, loss, output, inputs)
    case .crossEntropyGradient(let loss):
      crossEntropy(duet_cross_entropy_gradient, loss, output, inputs)
    case .matmul, .wideMatmul:
      matmul(output, inputs[0], inputs[1])
    case .linear:
      linear(output, inputs[0], weight: inputs[1], bias: inputs.count == 3 ? inputs[2] : nil)
    case .conv2d(let convolution):
      let block = convolution.block(
        input: inputs[0].shape, output: output.shape, inputs[1].shape, output.code)
      emit(duet_conv2d, block, output, inputs[0].pointer, inputs[1].pointer)
    case .conv2dInputGradient(let convolution, _):
      let block = convolution.block(
        input: output.shape, output: inputs[0].shape, inputs[1].shape, output.code)
      emit(duet_conv2d_input_gradient, block, output, inputs[0].pointer, inputs[1].pointer)
    case .conv2dWeightGradient(let convolution, _):
      let block = convolution.block(
        input: inputs[0].shape, output: inputs[1].shape, output.shape, output.code)
      emit(duet_conv2d_weight_gradient, block, output, inputs[0].pointer, inputs[1].pointer)
    case .maxPool2d(let pooling):
      emit(
        duet_max_pool, pooling.block(input: inputs[0], output: output.shape), output,
        inputs[0].pointer)
    case .maxPool2dSelect(let pooling):
      let block = pooling.block(input: inputs[0], output: output.shape)
      emit(duet_max_pool_select, block, output, inputs[0].pointer, inputs[1].pointer)
    case .maxPool2dGradient(let pooling):
      let block = pooling.block(input: inputs[0], output: inputs[1].shape)
      emit(duet_max_pool_gradient, block, output, inputs[0].pointer, inputs[1].pointer)
    case .averagePool2d(let pooling):
      emit(
        duet_average_pool, pooling.block(input: inputs[0], output: output.shape), output,
        inputs[0].pointer)
    case .averagePool2dGradient(let pooling, _):
      let block = pooling.block(input: output, output: inputs[0].shape)
      emit(duet_average_pool_gradient, block, output, inputs[0].pointer)
    case .reshape(let shape):
      // Only where no view exists: the elements in row-major order of the old shape.
      var target = output
      target.layout = Layout(contiguous: inputs[0].shape)
      precondition(shape == output.shape)
      copy(target, inputs[0])
    case .transpose, .broadcast, .slice:
      let (layout, offset) = op.view(of: inputs[0].layout)!
      let source = inputs[0]
      copy(output, TensorView(source.pointer + offset * source.dtype.size, source.dtype, layout))
    case .copy, .barrier:
      copy(output, inputs[0])
    case .concatenate(let axis):
      concatenate(axis, output, inputs)
    case .updateSlice(let slice):
      // In place when the result takes over the base's memory.
      if output.pointer != inputs[0].pointer { copy(output, inputs[0]) }
      copy(output.sliced(slice), inputs[1])
    case .take(let axis):
      index(
        duet_take, axis, indexed: inputs[0], output, inputs, count: inputs[1].shape.elementCount)
    case .takeAlong(let axis):
      index(duet_take_along, axis, indexed: inputs[0], output, inputs, count: inputs[1].shape[axis])
    case .scatterAdd(let axis):
      index(duet_scatter_add, axis, indexed: output, output, inputs, count: inputs[1].shape[0])
    case .scatterAddAlong(let axis):
      index(
        duet_scatter_add_along, axis, indexed: output, output, inputs, count: inputs[1].shape[axis])
    case .scatterSet(let axis):
      index(duet_scatter_set, axis, indexed: output, output, inputs, count: inputs[1].shape[0])
    case .random(let distribution, let type):
      var block = duet_random_call()
      block.distribution = distribution.code
      block.dtype = type.dtype.code
      block.count = Int64(type.shape.elementCount)
      if case .integer(let low, let high) = distribution {
        (block.low, block.high) = (Int64(low), Int64(high))
      }
      emit(duet_random, block, output, inputs[0].pointer)
    case .advanceRandom(let blocks):
      var block = duet_random_advance_call()
      block.blocks = Int64(blocks)
      emit(duet_random_advance, block, output, inputs[0].pointer)
    case .region, .regionResult:
      preconditionFailure("a region has programs of its own, not a kernel")
    }
  }

  // MARK: Families

  private func elementwise(
    _ loop: duet_loop?, _ output: TensorView, _ inputs: UnsafeBufferPointer<TensorView>
  ) {
    guard let loop else { preconditionFailure("no loop for dtype \(inputs[0].dtype)") }
    let shape = output.shape
    let block = UnsafeMutableRawPointer(call).bindMemory(
      to: duet_elementwise_call.self, capacity: 1)
    block.pointee.loop = loop
    block.pointee.operand_count = Int32(inputs.count + 1)
    block.pointee.rank = Int32(shape.rank)
    block.pointee.element_size = Int64(output.dtype.size)
    block.setOperands(output, inputs)
    withUnsafeMutableBytes(of: &block.pointee.shape) { raw in
      for axis in 0..<shape.rank {
        raw.storeBytes(of: shape[axis], toByteOffset: axis * 8, as: Int.self)
      }
    }
    withUnsafeMutableBytes(of: &block.pointee.input_size) { raw in
      for (i, input) in inputs.enumerated() {
        raw.storeBytes(of: input.dtype.size, toByteOffset: i * 8, as: Int.self)
      }
    }
    withUnsafeMutableBytes(of: &block.pointee.stride) { raw in
      raw.store(output.layout, row: 0, output.dtype.size)
      for (i, input) in inputs.enumerated() {
        raw.store(input.layout.broadcast(to: shape), row: i + 1, input.dtype.size)
      }
    }
    duet_elementwise_coalesce(block)
    sink(duet_elementwise, call, MemoryLayout<duet_elementwise_call>.size)
  }

  private func copy(_ output: TensorView, _ input: TensorView) {
    var block = duet_copy_call()
    block.element_size = Int64(output.dtype.size)
    block.rank = Int32(output.shape.rank)
    withUnsafeMutableBytes(of: &block.shape) { $0.store(output.shape) }
    withUnsafeMutableBytes(of: &block.destination_stride) {
      $0.store(output.layout, row: 0, output.dtype.size)
    }
    withUnsafeMutableBytes(of: &block.source_stride) {
      $0.store(input.layout, row: 0, input.dtype.size)
    }
    emit(duet_copy, block, output, input.pointer)
  }

  /// Contiguous parts that follow one another are written side by side, in one pass over the result; others one
  /// by one. What was computed in its place is left there.
  private func concatenate(
    _ axis: Int, _ output: TensorView, _ inputs: UnsafeBufferPointer<TensorView>
  ) {
    let rows = output.shape[..<axis].reduce(1, *)
    let rowBytes = rows == 0 ? 0 : output.shape.elementCount / rows * output.dtype.size
    // Shorter rows are copied faster element by element.
    let joins = rows > 1 && rowBytes >= 32
    var slice = Slice(all: output.shape)
    var first = 0  // of the parts that wait to be joined
    var start = output
    func write(until end: Int) {
      if end == first + 1 {
        copy(start, inputs[first])
      } else if end > first {
        let parts = UnsafeBufferPointer(rebasing: inputs[first..<end])
        join(parts, rows: rows, rowBytes: rowBytes, at: start)
      }
      first = end
    }
    for (i, input) in inputs.enumerated() {
      if input.shape.elementCount == 0 {
        // It has no place.
        write(until: i)
        first = i + 1
        continue
      }
      slice.sizes[axis] = input.shape[axis]
      let place = output.sliced(slice)
      slice.starts[axis] += input.shape[axis]
      let isInPlace = input.pointer == place.pointer
      let waits = joins && input.layout.isContiguous && !isInPlace
      if !waits || i - first == Int(DUET_MAX_PARTS) { write(until: i) }
      if waits {
        if i == first { start = place }
        continue
      }
      if !isInPlace { copy(place, input) }
      first = i + 1
    }
    write(until: inputs.count)
  }

  private func join(
    _ parts: UnsafeBufferPointer<TensorView>, rows: Int, rowBytes: Int, at start: TensorView
  ) {
    var block = duet_join_call()
    block.parts = Int32(parts.count)
    block.rows = Int64(rows)
    block.result_row = Int64(rowBytes)
    withUnsafeMutableBytes(of: &block.bytes) { raw in
      let bytes = raw.bindMemory(to: Int64.self)
      for (i, part) in parts.enumerated() {
        bytes[i] = Int64(part.shape.elementCount / rows * part.dtype.size)
      }
    }
    emit(duet_join, block, start, parts)
  }

  private func fill(_ output: TensorView, count: Int, _ element: Element) {
    var block = duet_fill_call()
    block.bits = element.bits
    block.element_size = Int64(output.dtype.size)
    block.count = Int64(count)
    emit(duet_fill, block, output)
  }

  private func reduce(_ op: ReductionOp, _ axes: AxisSet, _ output: TensorView, _ input: TensorView)
  {
    var block = duet_reduce_call()
    block.reduction = duet_reduction(rawValue: op.rawValue)
    block.dtype = input.code
    var (kept, reduced) = (Layout(contiguous: []), Layout(contiguous: []))
    for axis in 0..<input.shape.rank {
      if axes.contains(axis) {
        reduced.append(input.shape[axis], stride: input.layout.strides[axis])
      } else {
        kept.append(input.shape[axis], stride: input.layout.strides[axis])
      }
    }
    let size = input.dtype.size
    block.kept_rank = Int32(kept.shape.rank)
    block.reduced_rank = Int32(reduced.shape.rank)
    withUnsafeMutableBytes(of: &block.kept_shape) { $0.store(kept.shape) }
    withUnsafeMutableBytes(of: &block.kept_stride) { $0.store(kept, row: 0, size) }
    withUnsafeMutableBytes(of: &block.reduced_shape) { $0.store(reduced.shape) }
    withUnsafeMutableBytes(of: &block.reduced_stride) { $0.store(reduced, row: 0, size) }
    emit(duet_reduce, block, output, input.pointer)
  }

  private func softmax(
    _ kernel: duet_kernel, _ axis: Int, _ output: TensorView,
    _ inputs: UnsafeBufferPointer<TensorView>
  ) {
    var block = duet_softmax_call()
    block.dtype = output.code
    (block.rows, block.columns, block.inner) = output.shape.split(at: axis)
    emit(
      kernel, block, output, inputs[0].pointer, inputs.count > 1 ? inputs[1].pointer : nil)
  }

  private func matmul(_ output: TensorView, _ left: TensorView, _ right: TensorView) {
    var block = duet_matmul_call()
    (block.dtype, block.result_dtype) = (left.code, output.code)
    let rank = output.shape.rank
    block.m = Int64(output.shape[rank - 2])
    block.n = Int64(output.shape[rank - 1])
    block.k = Int64(left.shape[left.shape.rank - 1])
    func lastStrides(_ view: TensorView) -> (Int64, Int64) {
      let strides = view.layout.strides
      return (Int64(strides[strides.rank - 2]), Int64(strides[strides.rank - 1]))
    }
    block.left_stride = lastStrides(left)
    block.right_stride = lastStrides(right)
    block.batch_rank = Int32(rank - 2)
    // The rows of a stack that meets one matrix count together.
    let isShared = right.shape.dropLast(2).allSatisfy { $0 == 1 }
    let hasOneRow =
      output.shape[rank - 2] == 1
      && (!isShared || output.shape.dropLast(2).allSatisfy { $0 == 1 })
    block.vector = hasOneRow || output.shape[rank - 1] == 1 ? 1 : 0
    if rank == 2 { return emit(duet_matmul, block, output, left.pointer, right.pointer) }
    let batch = Shape(output.shape[..<(rank - 2)])
    func batchStrides(_ view: TensorView) -> Shape {
      Layout(
        shape: Shape(view.shape.dropLast(2)), strides: Shape(view.layout.strides.dropLast(2))
      ).broadcast(to: batch).strides
    }
    withUnsafeMutableBytes(of: &block.batch_shape) { $0.store(batch) }
    withUnsafeMutableBytes(of: &block.left_batch_stride) { $0.store(batchStrides(left)) }
    withUnsafeMutableBytes(of: &block.right_batch_stride) { $0.store(batchStrides(right)) }
    emit(duet_matmul, block, output, left.pointer, right.pointer)
  }

  private func linear(
    _ output: TensorView, _ x: TensorView, weight: TensorView, bias: TensorView?
  ) {
    let rank = x.shape.rank
    // Leading axes that lie one behind the other are rows of one matrix; others are a batch.
    var rows = 1
    var rowStride = 0
    var axis = rank - 1
    while axis > 0 {
      let (size, stride) = (x.shape[axis - 1], x.layout.strides[axis - 1])
      if size != 1 {
        if rows == 1 {
          rowStride = stride
        } else if stride != rows &* rowStride {
          break
        }
        rows &*= size
      }
      axis -= 1
    }
    var block = duet_matmul_call(
      linear: output.code, rows: rows, n: weight.shape[0], k: weight.shape[1])
    block.left_stride = (Int64(rowStride), Int64(x.layout.strides[rank - 1]))
    block.right_stride = (Int64(weight.layout.strides[1]), Int64(weight.layout.strides[0]))
    let batch = x.shape[..<axis].reduce(1, &*)
    if batch != 1 && weight.shape[0] != 1 { block.vector = 0 }
    if axis > 0 {
      let leading = Shape(x.shape[..<axis])
      block.batch_rank = Int32(axis)
      withUnsafeMutableBytes(of: &block.batch_shape) { $0.store(leading) }
      withUnsafeMutableBytes(of: &block.left_batch_stride) {
        $0.store(Shape(x.layout.strides[..<axis]))
      }
    }
    if let bias {
      block.has_bias = 1
      block.bias_stride = Int64(bias.layout.strides[0])
    }
    emit(duet_matmul, block, output, x.pointer, weight.pointer, bias?.pointer)
  }

  private func index(
    _ kernel: duet_kernel, _ axis: Int, indexed: TensorView, _ output: TensorView,
    _ inputs: UnsafeBufferPointer<TensorView>, count: Int
  ) {
    var block = duet_index_call()
    block.dtype = output.code
    block.index_dtype = inputs[1].code
    (block.outer, block.axis, block.inner) = indexed.shape.split(at: axis)
    block.count = Int64(count)
    if inputs.count == 3 {
      emit(kernel, block, output, inputs[0].pointer, inputs[1].pointer, inputs[2].pointer)
    } else {
      emit(kernel, block, output, inputs[0].pointer, inputs[1].pointer)
    }
  }

  // MARK: Handing over

  @inline(__always)
  private func emit<Block>(
    _ kernel: duet_kernel, _ block: Block, _ output: TensorView,
    _ a: UnsafeMutableRawPointer? = nil, _ b: UnsafeMutableRawPointer? = nil,
    _ c: UnsafeMutableRawPointer? = nil
  ) {
    UnsafeMutableRawPointer(call).initializeMemory(as: Block.self, to: block)
    let pointers = UnsafeMutableRawPointer(call).assumingMemoryBound(
      to: UnsafeMutableRawPointer?.self)
    (pointers[0], pointers[1], pointers[2], pointers[3]) = (output.pointer, a, b, c)
    sink(kernel, call, MemoryLayout<Block>.size)
  }

  /// With all inputs as operands.
  func emit<Block>(
    _ kernel: duet_kernel, _ block: Block, _ output: TensorView,
    _ inputs: UnsafeBufferPointer<TensorView>
  ) {
    UnsafeMutableRawPointer(call).initializeMemory(as: Block.self, to: block)
    let pointers = UnsafeMutableRawPointer(call).assumingMemoryBound(
      to: UnsafeMutableRawPointer?.self)
    pointers[0] = output.pointer
    for (i, input) in inputs.enumerated() { pointers[i + 1] = input.pointer }
    sink(kernel, call, MemoryLayout<Block>.size)
  }
}

extension duet_matmul_call {
  /// A product of contiguous rows `[rows, k]` with a contiguous weight `[n, k]` seen as `[k, n]`.
  fileprivate init(linear dtype: duet_dtype, rows: Int, n: Int, k: Int) {
    self.init()
    (self.dtype, result_dtype) = (dtype, dtype)
    (m, self.n, self.k) = (Int64(rows), Int64(n), Int64(k))
    left_stride = (Int64(k), 1)
    right_stride = (1, Int64(k))
    vector = rows == 1 || n == 1 ? 1 : 0
  }
}

/// Computes x Wᵀ + b at once, for contiguous `[rows, k]`, `[n, k]` and `[n]` of one dtype, into contiguous
/// `[rows, n]`: what the kernel of `Op.linear` does with them.
@inline(__always)
package func executeLinear(
  _ output: UnsafeMutableRawPointer, _ dtype: DType, rows: Int, n: Int, k: Int,
  _ x: UnsafeMutableRawPointer, weight: UnsafeMutableRawPointer, bias: UnsafeMutableRawPointer?
) {
  var block = duet_matmul_call(linear: dtype.code, rows: rows, n: n, k: k)
  (block.operand.0, block.operand.1, block.operand.2) = (output, x, weight)
  if let bias {
    block.operand.3 = bias
    block.has_bias = 1
    block.bias_stride = 1
  }
  _ = duet_matmul(&block)
}

extension DType {
  /// The kernels' code.
  var code: duet_dtype { duet_dtype(rawValue: Int32(rawValue)) }
}

extension TensorView {
  var code: duet_dtype { dtype.code }
}

extension Distribution {
  var code: duet_distribution {
    switch self {
    case .uniform: DUET_RANDOM_UNIFORM
    case .normal: DUET_RANDOM_NORMAL
    case .integer: DUET_RANDOM_INTEGER
    case .permutation: DUET_RANDOM_PERMUTATION
    }
  }

  /// How many counter blocks a draw of that type uses.
  public func blocks(for type: TensorType) -> Int {
    Int(duet_random_blocks(code, type.dtype.code, Int64(type.shape.elementCount)))
  }
}

extension Shape {
  /// The product of the sizes before an axis, its size, and the product of those behind it.
  func split(at axis: Int) -> (outer: Int64, axis: Int64, inner: Int64) {
    (
      Int64(self[..<axis].reduce(1, *)), Int64(self[axis]), Int64(self[(axis + 1)...].reduce(1, *))
    )
  }
}

extension UnsafeMutablePointer<duet_elementwise_call> {
  fileprivate func setOperands(_ output: TensorView, _ inputs: UnsafeBufferPointer<TensorView>) {
    let pointers = UnsafeMutableRawPointer(self).assumingMemoryBound(
      to: UnsafeMutableRawPointer?.self)
    pointers[0] = output.pointer
    for i in 1..<Int(DUET_MAX_OPERANDS) {
      pointers[i] = i <= inputs.count ? inputs[i - 1].pointer : nil
    }
  }
}

extension UnsafeMutableRawBufferPointer {
  fileprivate func store(_ shape: Shape) {
    for axis in 0..<shape.rank { storeBytes(of: shape[axis], toByteOffset: axis * 8, as: Int.self) }
  }

  /// A layout's strides in bytes, as one row of a table of eight columns.
  fileprivate func store(_ layout: Layout, row: Int, _ elementSize: Int) {
    for axis in 0..<layout.shape.rank {
      storeBytes(
        of: layout.strides[axis] &* elementSize, toByteOffset: (row * 8 + axis) * 8, as: Int.self)
    }
  }
}

extension Convolution {
  func block(input: Shape, output: Shape, _ weight: Shape, _ dtype: duet_dtype) -> duet_conv2d_call
  {
    var block = duet_conv2d_call()
    block.dtype = dtype
    block.batch = Int64(input[0])
    (block.in_channels, block.in_height, block.in_width) =
      (Int64(input[1]), Int64(input[2]), Int64(input[3]))
    (block.out_channels, block.out_height, block.out_width) =
      (Int64(output[1]), Int64(output[2]), Int64(output[3]))
    (block.kernel_height, block.kernel_width) = (Int64(weight[2]), Int64(weight[3]))
    block.groups = Int64(groups)
    (block.stride_height, block.stride_width) = (Int64(stride.height), Int64(stride.width))
    (block.pad_top, block.pad_left) = (Int64(padding.height), Int64(padding.width))
    (block.dilation_height, block.dilation_width) = (Int64(dilation.height), Int64(dilation.width))
    return block
  }
}

extension Pooling {
  func block(input: TensorView, output: Shape) -> duet_pool_call {
    var block = duet_pool_call()
    let shape = input.shape
    block.dtype = input.code
    block.planes = Int64(shape[0] * shape[1])
    (block.in_height, block.in_width) = (Int64(shape[2]), Int64(shape[3]))
    (block.out_height, block.out_width) = (Int64(output[2]), Int64(output[3]))
    (block.kernel_height, block.kernel_width) = (Int64(kernelSize.height), Int64(kernelSize.width))
    (block.stride_height, block.stride_width) = (Int64(stride.height), Int64(stride.width))
    (block.pad_top, block.pad_left) = (Int64(padding.height), Int64(padding.width))
    (block.dilation_height, block.dilation_width) = (Int64(dilation.height), Int64(dilation.width))
    block.count_include_pad = countsPadding ? 1 : 0
    return block
  }
}
